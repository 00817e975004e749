import pytest
import torch

from espalier.methods import greg
from espalier.methods.growing import Gradient, Moment
from espalier.methods.pace import Pace
from espalier.methods.removal import AFTER, BEFORE
from tests import zoo
from tests.methods.jobs import job

TRUNK = zoo.channels(zoo.find("edsr")).group("head.0.weight")
AT = Pace(0, 20, 5, 5, 0.1, 0.4, Gradient())


def moment(penalty: float) -> Moment:
    return Moment(0, TRUNK, True, torch.full((12,), penalty), None, torch.arange(12.0)[None])


def test_the_first_variant_chooses_at_once() -> None:
    penalty, going = greg.picking({TRUNK.name: 3}, AT, 0.0)(moment(0.0))
    assert going is not None
    assert going.nonzero().flatten().tolist() == [0, 1, 2]
    assert penalty.nonzero().flatten().tolist() == [0, 1, 2]


def test_the_second_presses_on_all_then_sets_the_others_free() -> None:
    rule = greg.picking({TRUNK.name: 3}, AT, 0.2)
    penalty, going = rule(moment(0.0))
    assert going is None
    assert torch.allclose(penalty, torch.tensor(0.1))
    penalty, going = rule(moment(0.2))
    assert going is not None
    assert penalty[:3].tolist() == pytest.approx([0.3] * 3)
    assert not penalty[3:].any()


@pytest.mark.parametrize("picking", ["first", "last"])
def test_removal_costs_nothing(picking: str) -> None:
    asked = job("greg", zoo.find("edsr"), options={"steps": 60, "picking": picking})
    notes = greg.prune(asked).plans[-1].notes
    assert abs(notes[BEFORE] - notes[AFTER]) <= 0.05
