from dataclasses import replace

import pytest
import torch

from espalier.costs import count
from espalier.methods import guided
from espalier.methods.calibrated import material
from tests import zoo
from tests.methods.jobs import SMALL, Trainer, job, states_after


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Fewer patches than in earnest."""
    for name, value in SMALL.items():
        monkeypatch.setattr(material, name, value)


SLOW = [pytest.param(name, marks=pytest.mark.slow) for name in ("srresnet", "SwinIR")]


@pytest.mark.parametrize("name", ["edsr", *SLOW])
def test_rounds_end_in_one_plan_within_the_budget(name: str) -> None:
    asked = job("guided", zoo.find(name), "macs=0.5", options={"rounds": 3, "steps": 2})
    pruned = guided.prune(asked)
    assert isinstance(asked.train, Trainer)
    assert [phase.name for phase in asked.train.phases] == ["round-1", "round-2"]
    assert all(set(phase.losses) == {"l1", "teacher"} for phase in asked.train.phases)
    assert len(pruned.plans) == 1
    assert count(pruned).macs <= 0.5 * count(asked.network).macs
    assert asked.channels.check({c.group: c.kept for c in pruned.plans[0].choices}).equal


def test_what_a_round_has_cut_stays_cut() -> None:
    entry = zoo.find("edsr")
    asked = job("guided", entry, "macs=0.4", options={"rounds": 2, "steps": 1})
    train, seen = states_after(asked.train)
    last = guided.prune(replace(asked, train=train)).plans[-1]
    first = {c.group: set(c.kept) for c in seen[0].plans[-1].choices}
    for choice in last.choices:
        assert set(choice.kept) <= first.get(choice.group, set(choice.kept))


def test_the_dense_network_is_left_alone() -> None:
    asked = job("guided", zoo.find("edsr"), options={"steps": 1})
    before = {k: v.clone() for k, v in asked.network.state_dict().items()}
    guided.prune(asked)
    assert all(torch.equal(v, before[k]) for k, v in asked.network.state_dict().items())
