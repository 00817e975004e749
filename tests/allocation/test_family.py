"""Decisions by argument: what one moves is one unit, what none moves stays."""

import pytest

from espalier.allocation import Budget, allocate, units
from espalier.allocation.family import WHOLE, sized, within
from espalier.errors import PlanError
from espalier.importance import scores
from espalier.networks.family import Width, widths
from tests import zoo


def test_growth_channels_of_dense_blocks_have_no_argument_and_stay() -> None:
    channels = zoo.channels(zoo.find("ESRGAN"))
    bound = within(channels, sized(channels, widths(zoo.network(zoo.find("ESRGAN")))))
    growing = bound.group("model.1.sub.0.RDB1.conv1.0.weight")
    assert (growing.status, growing.reason) == ("pinned", WHOLE)
    assert [unit.levels for unit in units(bound.groups)] == [12]


def test_one_argument_is_one_unit_and_its_value_follows_the_plan() -> None:
    entry = zoo.find("SwinIR")
    channels = zoo.channels(entry)
    sizes = sized(channels, widths(zoo.network(entry)))
    bound = within(channels, sizes)
    assert [size.width.argument for size in sizes] == ["embed_dim"]
    assert len(units(bound.groups)) == 1
    scored = scores("l2", channels.network, bound.prunable, seed=0)
    plan = bound.plan(allocate(bound, scored, Budget("ratio", 0.5), by="uniform"))
    assert sizes[0].value_after(plan) == 6


def test_several_arguments_are_decided_apart() -> None:
    entry = zoo.find("pan")
    sizes = sized(zoo.channels(entry), widths(zoo.network(entry)))
    assert {size.width.argument for size in sizes} == {"channels", "up_channels"}


@pytest.mark.parametrize("name", ["RealCUGAN", "MoESR", "imdn"])
def test_what_no_argument_can_say_is_refused_with_each_reason(name: str) -> None:
    entry = zoo.find(name)
    with pytest.raises(PlanError, match=r"architecture cannot say .*=\d+ (counts|changes)"):
        sized(zoo.channels(entry), widths(zoo.network(entry)))


def test_an_argument_that_counts_no_channels_is_no_size() -> None:
    channels = zoo.channels(zoo.find("edsr"))
    with pytest.raises(PlanError, match="peak=255 counts no channels"):
        sized(channels, [Width("peak", 255, {("nothing", 0): 255})])
