"""Optimal brain surgeon: against its definition, and better than size without training."""

import dataclasses
import itertools

import pytest
import torch

from espalier.allocation import Budget
from espalier.calibration.solve import Rows
from espalier.errors import NetworkError, PlanError
from espalier.methods import obs
from espalier.methods.calibrated import difference
from espalier.methods.calibrated.material import patches
from espalier.methods.obs.elimination import eliminate
from espalier.methods.obs.refitting import fit
from espalier.sparsity import Pattern, apply_, choose, sparsity, weights
from espalier.sparsity.pattern import holds
from tests import zoo
from tests.methods.jobs import images, job

EDSR = zoo.find("edsr")


def mixed(rows: int, columns: int, seed: int = 0) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    mixing = torch.randn(columns, columns, generator=generator)
    return torch.randn(rows, columns, generator=generator) @ mixing


def test_the_first_to_go_costs_what_least_squares_says() -> None:
    inputs = mixed(500, 6).double()
    moments = inputs.T @ inputs / len(inputs)
    row = torch.randn(1, 6, generator=torch.Generator().manual_seed(3)).double()
    costs = eliminate(moments, row, damping=1e-12)[0]
    by_hand = []
    for k in range(6):
        rest = [j for j in range(6) if j != k]
        solved = torch.linalg.lstsq(inputs[:, rest], inputs @ row[0]).solution
        by_hand.append((inputs[:, rest] @ solved - inputs @ row[0]).square().mean())
    assert float(costs.min()) == pytest.approx(float(min(by_hand)), rel=1e-6)
    assert int(costs.argmin()) == int(torch.stack(by_hand).argmin())


def test_greedy_removal_is_near_the_best_subset() -> None:
    sums = {"greedy": 0.0, "by size": 0.0, "best": 0.0}
    for seed in range(8):
        inputs = mixed(400, 8, seed).double()
        row = torch.randn(8, generator=torch.Generator().manual_seed(seed + 50)).double()

        def error(kept: tuple[int, ...], inputs: torch.Tensor = inputs, row: torch.Tensor = row) -> float:
            solved = torch.linalg.lstsq(inputs[:, kept], inputs @ row).solution
            return float((inputs[:, kept] @ solved - inputs @ row).square().mean())

        costs = eliminate(inputs.T @ inputs / len(inputs), row[None], damping=1e-12)[0]
        sums["greedy"] += error(tuple(costs.argsort()[4:].tolist()))
        sums["by size"] += error(tuple(row.abs().argsort()[4:].tolist()))
        sums["best"] += min(error(kept) for kept in itertools.combinations(range(8), 4))
    assert sums["greedy"] < 0.7 * sums["by size"]
    assert sums["greedy"] < 1.6 * sums["best"]


def test_a_refit_moves_only_what_is_free_and_mends_it() -> None:
    inputs, free = mixed(800, 10), torch.ones(3, 10, dtype=torch.bool)
    free[:, ::3] = False
    true = torch.randn(3, 10, generator=torch.Generator().manual_seed(1)).double()
    targets = inputs @ true.T.float()
    start = true * free
    solved = fit(Rows(inputs, targets), start, free)
    assert not solved[~free].any()
    assert Rows(inputs, targets).error(solved) < 0.9 * Rows(inputs, targets).error(start)
    by_hand = torch.linalg.lstsq(inputs[:, free[0]].double(), targets[:, 0].double()).solution
    least = (inputs[:, free[0]].double() @ by_hand - targets[:, 0]).square().mean()
    assert (inputs.double() @ solved[0] - targets[:, 0]).square().mean() < 1.01 * least
    whole = fit(Rows(inputs, targets), true, free | True)
    assert torch.equal(whole, true)  # nothing to mend


@pytest.mark.parametrize("name", ["edsr", "imdn", "SwinIR", "carn", "fsrcnn"])
def test_without_training_it_is_nearer_to_the_dense_network_than_size(name: str) -> None:
    entry = zoo.find(name)
    asked = job("obs", entry, "sparsity=0.6")
    made = obs.prune(asked)
    assert sparsity(made.masks) == pytest.approx(0.6, abs=1e-3)
    assert all(not made.body.get_parameter(n)[~mask].any() for n, mask in made.masks.items())
    plain = zoo.network(entry)
    apply_(plain, choose({n: w.detach().abs() for n, w in weights(plain).items()}, 0.6, "lamp"))
    held = patches(images(entry.scale), 7).held
    assert difference(made, asked.network, held) < 0.5 * difference(plain, asked.network, held)


def test_one_observation_serves_every_sparsity() -> None:
    asked = job("obs", EDSR, "sparsity=0.4")
    seen = obs.observe(asked)
    again = dataclasses.replace(asked, budget=Budget.parse("sparsity=0.8"))
    for wanted in (again, asked):
        shared, alone = obs.pruned(wanted, seen), obs.prune(wanted)
        assert all(torch.equal(a, b) for a, b in zip(shared.parameters(), alone.parameters()))


def test_packing_the_inverses_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    inputs = mixed(600, 70).double()
    rows = torch.randn(5, 70, generator=torch.Generator().manual_seed(2)).double()
    moments = inputs.T @ inputs / len(inputs)
    packed = eliminate(moments, rows)
    monkeypatch.setattr("espalier.methods.obs.elimination.PACKED", 0.0)
    assert torch.allclose(eliminate(moments, rows), packed, rtol=1e-9)
    short = eliminate(moments, rows.float())
    order = [costs.double().argsort().argsort() for costs in (packed, short)]
    assert (order[0] - order[1]).abs().double().mean() < 0.5


def test_patterns_and_contradictions() -> None:
    made = obs.prune(job("obs", EDSR, "sparsity=0.5", options={"pattern": "2:4", "refit": False}))
    assert all(holds(mask, Pattern(2, 4)) for mask in made.masks.values())
    with pytest.raises(PlanError, match=r"give --budget sparsity=0\.5"):
        obs.prune(job("obs", EDSR, "sparsity=0.7", options={"pattern": "2:4"}))
    with pytest.raises(PlanError, match="no layer has inputs in groups of 64"):
        obs.prune(job("obs", EDSR, "sparsity=0.5", options={"pattern": "32:64"}))


def test_a_network_that_takes_no_batches_is_refused() -> None:
    with pytest.raises(NetworkError, match="for a batch than for each image alone"):
        obs.prune(job("obs", zoo.find("SeemoRe"), "sparsity=0.5"))
