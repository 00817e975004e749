import pytest

from espalier.costs import count
from espalier.importance import criteria
from espalier.methods import stepwise
from tests import zoo
from tests.methods.jobs import Trainer, job


@pytest.mark.parametrize("rounds", [1, 4, 8])
def test_each_round_learns_prunes_and_tunes(rounds: int) -> None:
    options = {"rounds": rounds, "learn": "group_sparse", "learn_steps": 1, "steps": 1}
    asked = job("stepwise", zoo.find("edsr"), "ratio=0.6", options=options)
    pruned = stepwise.prune(asked)
    assert isinstance(asked.train, Trainer)
    names = [phase.name for phase in asked.train.phases]
    assert names.count("sparsity-1") == 1
    assert len(names) == 2 * rounds - 1  # recovery follows the last
    shares = [len(c.kept) / c.channels for c in pruned.plans[-1].choices]
    assert all(0.3 < share <= 0.42 for share in shares)
    assert len(pruned.plans) == 1


@pytest.mark.parametrize("criterion", criteria())
def test_any_criterion(criterion: str) -> None:
    asked = job("stepwise", zoo.find("srresnet"), options={"rounds": 2, "steps": 1}, criterion=criterion)
    assert count(stepwise.prune(asked)).macs <= 0.6 * count(asked.network).macs


def test_growing_penalties_between_rounds() -> None:
    options = {"rounds": 2, "learn": "growing", "learn_steps": 6, "steps": 2}
    asked = job("stepwise", zoo.find("carn"), options=options)
    assert count(stepwise.prune(asked)).macs <= 0.6 * count(asked.network).macs
