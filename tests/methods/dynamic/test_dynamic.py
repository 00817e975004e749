"""The dynamic methods as a job asks for them, and each rule's decision by hand."""

import copy

import pytest
import torch
from pydantic import ValidationError

from espalier.allocation import Budget
from espalier.errors import PlanError
from espalier.methods import dynamic, obs
from espalier.methods.dynamic.options import Options
from espalier.methods.dynamic.rules import RULES, timing
from espalier.methods.job import Phase, check_budget
from espalier.methods.job import options as checked
from espalier.methods.masking import View
from espalier.methods.protocol import Method
from espalier.networks.network import Network
from espalier.sparsity import sparsity
from tests import zoo
from tests.methods.jobs import Trainer, job

EDSR = zoo.find("edsr")


def view(
    weights: list[float], kept: list[int], gradients: list[float] | None = None, share: float = 0.5
) -> View:
    w = torch.tensor([weights])
    g = torch.tensor([gradients or [1.0] * len(weights)], dtype=torch.float32)
    return View(0, share, {"w": w}, {"w": g}, {"w": torch.tensor([kept]).bool()}, {"w": g.square()})


def decided(rule: str, seen: View, **changed: object) -> list[int]:
    return RULES[rule](Options.model_validate({"rule": rule, **changed})).decide(seen)["w"][0].int().tolist()


@pytest.mark.parametrize("rule", ["hard", "shrink"])
def test_the_smallest_go_whatever_they_were(rule: str) -> None:
    assert decided(rule, view([0.3, -0.4, 0.1, 0.2], [1, 0, 1, 0])) == [1, 1, 0, 0]


def test_surgery_wants_more_of_those_who_come_back() -> None:
    seen = view([0.30, 0.31, 0.1, 0.9], [1, 0, 0, 1])
    assert decided("surgery", seen, band=0.1) == [1, 0, 0, 1]
    assert decided("surgery", seen, band=0.0) == [0, 1, 0, 1]
    assert decided("surgery", view([0.30, 0.34, 0.1, 0.9], [1, 0, 0, 1]), band=0.1) == [0, 1, 0, 1]


def test_regrow_swaps_the_smallest_for_the_largest_gradient() -> None:
    seen = view([0.4, 0.3, 0.2, 0.1, 0, 0, 0, 0], [1, 1, 1, 1, 0, 0, 0, 0], [0, 0, 0, 0, 1, 4, 2, 3])
    assert decided("regrow", seen, swap=0.5) == [1, 1, 0, 0, 0, 1, 0, 1]
    assert decided("regrow", seen, swap=0.01) == [1, 1, 1, 1, 0, 0, 0, 0]


def test_balanced_spreads_by_what_the_loss_feels_and_starves_no_layer() -> None:
    loud, quiet = torch.full((1, 10), 0.1), torch.full((1, 10), 1.0)
    names = {"loud": loud, "quiet": quiet}
    masks = {name: torch.ones(1, 10, dtype=torch.bool) for name in names}
    squares = {"loud": torch.full((1, 10), 1e4), "quiet": torch.full((1, 10), 1e-4)}
    seen = View(0, 0.5, names, {}, masks, squares)
    found = RULES["balanced"](Options(floor=0.4)).decide(seen)
    assert int(found["loud"].sum()) == 8
    assert int(found["quiet"].sum()) == 2  # 0.4 of the mean density


def test_decisions_end_where_the_search_ends() -> None:
    when = timing(Options(rule="surgery", steps=100, ramp=0.5, until=0.75, every=5, fade=0.05), 0.9)
    due = [step for step in range(100) if when.due(step, seed=0)]
    assert due[:3] == [4, 9, 14]
    assert due[-1] == 74
    assert 10 < len(due) < 15  # some of those after the rise were left out
    assert when.sparsity.at(50) == 0.9
    assert [s for s in range(100) if when.due(s, seed=0)] == due


@pytest.mark.parametrize("rule", RULES)
def test_a_job_gives_the_sparsity_asked_for(rule: str) -> None:
    asked = job("dynamic", EDSR, "sparsity=0.7", options={"rule": rule, "steps": 8, "every": 1})
    made = dynamic.prune(asked)
    assert sparsity(made.masks) == pytest.approx(0.7, abs=1e-3)
    assert all(not made.body.get_parameter(n)[~mask].any() for n, mask in made.masks.items())
    assert not asked.network.masks
    assert all(torch.equal(a, b) for a, b in zip(asked.network.parameters(), zoo.network(EDSR).parameters()))


def test_dense_sparse_dense_ends_dense() -> None:
    options = {"steps": 4, "dense_steps": 3, "dense_lr": 1e-4, "teacher": 0.5}
    asked = job("dynamic", EDSR, "sparsity=0.7", options=options)
    made = dynamic.prune(asked)
    assert not made.masks
    assert all(weight.all() for name, weight in made.body.named_parameters() if weight.ndim == 4)
    phases = asked.train.phases  # type: ignore[attr-defined]
    assert [(p.name, p.steps, p.lr, dict(p.losses)) for p in phases] == [
        ("search", 4, None, {"l1": 1.0, "teacher": 0.5}),
        ("dense", 3, 1e-4, {"l1": 1.0, "teacher": 0.5}),
    ]


def test_from_scratch_forgets_the_trained_weights_and_repeats() -> None:
    options = {"steps": 1, "scratch": True, "lr": 1e-9}
    first, second = (
        dynamic.prune(job("dynamic", EDSR, "sparsity=0.5", options=options, seed=5)) for _ in range(2)
    )
    assert all(torch.equal(a, b) for a, b in zip(first.parameters(), second.parameters()))
    start = zoo.network(EDSR).body.get_parameter("body.0.body.0.weight")
    kept = first.masks["body.0.body.0.weight"]
    fresh = first.body.get_parameter("body.0.body.0.weight")
    assert torch.isclose(fresh[kept], start[kept]).float().mean() < 0.05


def test_rewound_weights_begin_again_as_obs_refits_the_dense_ones() -> None:
    begun: list[tuple[str, int, Network]] = []

    def train(network: Network, phase: Phase, method: Method) -> None:
        begun.append((phase.name, phase.steps, copy.deepcopy(network)))
        Trainer(network)(network, phase, method)

    asked = job("dynamic", EDSR, "sparsity=0.6", options={"steps": 9, "rewind": 1 / 3}, train=train)
    made = dynamic.prune(asked)
    assert [(name, steps) for name, steps, _ in begun] == [("search", 6), ("rewound", 3)]
    assert sparsity(made.masks) == pytest.approx(0.6, abs=1e-3)
    assert all(not made.body.get_parameter(n)[~mask].any() for n, mask in made.masks.items())
    by_hand = obs.refitted(asked, made.masks)
    assert all(torch.equal(a, b) for a, b in zip(begun[1][2].parameters(), by_hand.parameters()))


def test_protected_layers_stay_dense() -> None:
    made = dynamic.prune(job("dynamic", EDSR, "sparsity=0.5", options={"steps": 2}, protect=("tail*",)))
    assert not [name for name in made.masks if name.startswith("tail")]


def test_words_and_budgets_are_checked() -> None:
    with pytest.raises(PlanError, match="takes a budget of sparsity"):
        check_budget("dynamic", Budget.parse("macs=0.5"))
    with pytest.raises(PlanError, match="rule: Input should be"):
        checked("dynamic", {"rule": "best"})
    with pytest.raises(ValidationError):
        Options(ramp=1.5)
