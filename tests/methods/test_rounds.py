import copy

import numpy as np
import pytest
import torch

from espalier.allocation import Budget
from espalier.channels import analyse
from espalier.methods.job import cut
from espalier.methods.rounds import (
    budget_after,
    cut_with,
    dense_body,
    dense_state,
    narrowed,
    next_kept,
    on_the_way,
)
from tests import zoo
from tests.methods.jobs import job


def scores(channels: object, seed: int) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(seed)
    return {g.name: rng.random(g.channels) + 0.1 for g in channels.prunable}  # type: ignore[attr-defined]


def test_budgets_on_the_way_are_linear() -> None:
    assert on_the_way(Budget("macs", 0.2), 100, 0.5).value == pytest.approx(0.6)
    assert on_the_way(Budget("macs", 2e9), 1e10, 0.5).value == pytest.approx(0.6)
    assert on_the_way(Budget("ratio", 0.8), 100, 0.25).value == pytest.approx(0.2)
    assert on_the_way(Budget("macs", 2e10), 1e10, 0.5).value == pytest.approx(1.0)
    assert on_the_way(Budget("macs", 2e10), 1e10, 0.5).limit(1e10) == pytest.approx(1e10)
    timed = on_the_way(Budget("latency", 5.0, milliseconds=True), 20.0, 1 / 3)
    assert timed.limit(20.0) == pytest.approx(15.0)
    asked = job("stepwise", zoo.find("edsr"), "macs=0.5")
    assert budget_after(asked, 1) is asked.budget


@pytest.mark.parametrize("name", ["edsr", "carn", "SwinIR", "fsrcnn"])
def test_what_stays_only_shrinks_and_meets_each_budget(name: str) -> None:
    asked = job("stepwise", zoo.find(name), "macs=0.4")
    kept: dict[str, list[int]] = {}
    for number in (1, 2, 3):
        budget = budget_after(asked, number / 3)
        new = next_kept(asked, scores(asked.channels, number), kept, budget)
        for group, channels in kept.items():
            assert set(new[group]) <= set(channels)
        shares = [
            len(new[n]) / asked.channels.group(n).channels if n in new else 1.0 for n in asked.cost.names
        ]
        ratio = asked.cost.macs(np.array(shares)) / asked.cost.macs(np.ones(len(shares)))
        assert ratio <= budget.value
        kept = new
    assert asked.channels.check(kept).equal


@pytest.mark.parametrize("name", ["edsr", "carn", "SwinIR", "bsrn"])
def test_narrowed_groups_are_those_of_the_smaller_network(name: str) -> None:
    entry = zoo.find(name)
    found = zoo.channels(entry)
    asked = job("stepwise", entry, "macs=0.6")
    plan = found.plan(next_kept(asked, scores(found, 0), {}, asked.budget))
    smaller = cut(asked.network, plan)
    traced = analyse(smaller.body, smaller.encode(zoo.image(entry)), prove=False)

    def shape(groups: object) -> set:
        return {
            frozenset(
                (m.tensor, m.dim, tuple(map(tuple, np.sort(m.positions, axis=None)[:, None])))
                for m in g.members
            )
            for g in groups  # type: ignore[attr-defined]
        }

    assert shape(narrowed(found.prunable, plan)) <= shape(traced.groups)


def test_a_cut_network_and_its_dense_shaped_twin_are_one() -> None:
    entry = zoo.find("edsr")
    asked = job("stepwise", entry, "macs=0.6")
    plan = asked.channels.plan(next_kept(asked, scores(asked.channels, 0), {}, asked.budget))
    smaller = cut(asked.network, plan)
    with torch.no_grad():
        for parameter in smaller.parameters():
            parameter.add_(0.01)
    state = dense_state(smaller, plan, asked.network)
    again = cut_with(asked.network, plan, state)
    x = zoo.image(entry)
    assert torch.equal(again(x), smaller(x))
    whole = copy.deepcopy(asked.network)
    whole.body = dense_body(state, asked.network)
    assert torch.allclose(
        whole(x), smaller(x), atol=1e-5
    )  # what is zero and what is gone give the same image
