from dataclasses import replace

import pytest
import torch

from espalier.methods import group_sparse
from espalier.methods.growing import Moment
from espalier.methods.learning import constant, group_norm, growing_with_lag
from espalier.methods.places import everything
from tests import zoo
from tests.methods.jobs import job, states_after

TRUNK = zoo.channels(zoo.find("edsr")).group("head.0.weight")


def moment(penalty: float = 0.0) -> Moment:
    return Moment(0, TRUNK, True, torch.full((12,), penalty), None, torch.arange(12.0)[None])


def test_the_smallest_are_pressed_four_times_as_hard_as_the_largest() -> None:
    penalty, going = group_norm(0.1)(moment())
    assert going is None
    assert penalty[0].item() == pytest.approx(0.4)
    assert penalty[-1].item() == pytest.approx(0.1)
    assert (penalty.diff() < 0).all()


def test_penalties_that_grow_with_the_lag() -> None:
    rule = growing_with_lag(0.5, 0.1)
    first, _ = rule(moment())
    assert first[-1].item() == pytest.approx(0.5)
    assert first[0].item() == pytest.approx(0.6)
    assert rule(moment(2.0))[0][0].item() == pytest.approx(2.1)
    assert constant(0.3)(moment())[0].tolist() == pytest.approx([0.3] * 12)


def test_a_penalty_makes_small_channels_smaller_than_training_alone() -> None:
    entry = zoo.find("edsr")
    ends = []
    for strength in (0.0, 0.5):
        asked = job("group_sparse", entry, options={"steps": 10, "strength": strength})
        train, seen = states_after(asked.train)
        spied = replace(asked, train=train)
        group_sparse.prune(spied)
        state = seen[0].body.state_dict()
        members = everything(seen[0].body, TRUNK)
        ends.append(sum(float(state[m.tensor].square().sum()) for m in members))
    assert ends[1] < ends[0]
