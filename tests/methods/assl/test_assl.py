import pytest
import torch

from espalier.methods import assl
from espalier.methods.assl.alignment import Aligned, agreement, choosing
from espalier.methods.growing import Gradient, Moment
from espalier.methods.pace import UNIT, Pace
from espalier.methods.protocol import Batch, Context
from espalier.methods.removal import AFTER, BEFORE
from tests import zoo
from tests.methods.jobs import job

TRUNK = zoo.channels(zoo.find("edsr")).group("head.0.weight")


def moment(step: int, *, constrained: bool = True, going: torch.Tensor | None = None) -> Moment:
    sizes = torch.stack([torch.arange(12.0).roll(k) for k in (3, 5)])
    return Moment(step, TRUNK, constrained, torch.zeros(12), going, sizes)


def test_shared_channels_wait_for_the_alignment_and_then_follow_the_first_layer() -> None:
    rule = choosing({TRUNK.name: 2}, Pace(10, 20, 5, 5, 0.25, 0.5, Gradient()))
    penalty, going = rule(moment(5))
    assert going is None
    assert not penalty.any()
    penalty, going = rule(moment(10))
    assert going is not None
    assert going.nonzero().flatten().tolist() == [3, 4]
    assert penalty[3] == 0.25
    free = rule(moment(0, constrained=False))[1]
    assert free is not None


def test_penalties_stop_at_the_ceiling_and_the_choice_is_kept() -> None:
    rule = choosing({TRUNK.name: 2}, Pace(0, 20, 5, 5, 0.25, 0.3, Gradient()))
    chosen = torch.arange(12) > 9
    now = moment(5, going=chosen)
    penalty, going = rule(Moment(5, now.group, True, torch.full((12,), 0.2) * chosen, chosen, now.sizes))
    assert penalty.max() == pytest.approx(0.3)
    assert going is chosen


def test_masks_agree_most_where_the_layers_keep_the_same_channels() -> None:
    scales = torch.tensor([[1.0, 2.0, 6.0, 9.0], [1.0, 2.0, 6.0, 9.0]])
    other = torch.stack([scales[0], scales[1].flip(0)])
    assert agreement(scales, 2) > agreement(other, 2)
    by_hand = torch.sigmoid(scales - 2.0)  # the second smallest is the threshold
    assert agreement(scales, 2) == pytest.approx(float((by_hand @ by_hand.T).mean()))


def test_the_alignment_term_is_there_only_before_the_choice() -> None:
    network, trunk = zoo.network(zoo.find("edsr")), [TRUNK]
    method = Aligned(trunk, {TRUNK.name: 4}, Pace(3, 4, 1, 1, 0.1, 0.4, Gradient()), weight=2.0)
    context = Context(network, 8, 0, 0, 1, lambda _: None)
    method.start(context)
    method.ready(context)
    image = torch.zeros(1, 3, 8, 8)
    term = method.losses(Batch(0, image, image, image))["alignment"]
    assert term.item() == pytest.approx(-2 * UNIT * agreement(method.lengths(TRUNK), 4).item())
    term.backward()
    scale = network.body.get_submodule("head.0").parametrizations["weight"].original0  # type: ignore[index,union-attr]
    assert scale.grad.abs().sum() > 0
    assert method.losses(Batch(3, image, image, image)) == {}


def test_removal_costs_nothing_once_the_network_has_settled() -> None:
    asked = job("assl", zoo.find("edsr"), options={"steps": 150})
    notes = assl.prune(asked).plans[-1].notes
    assert notes[BEFORE] > 30
    assert abs(notes[BEFORE] - notes[AFTER]) <= 0.05


def test_the_published_schedule() -> None:
    assert (assl.PAPER.align, assl.PAPER.grow, assl.PAPER.hold) == (17_260, 100_000, 43_150)
    assert (assl.PAPER.interval, assl.PAPER.delta) == (20, 1e-4 * UNIT)
    assert isinstance(assl.PAPER.press, Gradient)
