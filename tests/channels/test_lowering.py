"""From chosen channels to cuts and relinked integers."""

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from espalier.channels import units_of
from espalier.errors import PlanError
from espalier.plan import Choice, Cut, Relink
from tests import zoo
from tests.channels.micro import between


def conv(inputs: int, outputs: int, **more: Any) -> nn.Conv2d:
    return nn.Conv2d(inputs, outputs, 3, padding=1, **more)


def test_a_plan_holds_all_slices_and_the_choice() -> None:
    channels = between(lambda n, x: n.norm(x), norm=nn.BatchNorm2d(8))
    plan = channels.plan({"head.weight": [1, 2, 6]})
    kept = (1, 2, 6)
    assert set(plan.cuts) == {
        Cut("head.weight", 0, 8, kept),
        Cut("head.bias", 0, 8, kept),
        Cut("norm.weight", 0, 8, kept),
        Cut("norm.bias", 0, 8, kept),
        Cut("norm.running_mean", 0, 8, kept),
        Cut("norm.running_var", 0, 8, kept),
        Cut("tail.weight", 1, 8, kept),
    }
    assert plan.choices == (Choice("head.weight", 8, kept),)
    assert plan.relinks == ()


def test_groups_that_are_not_named_stay_whole() -> None:
    channels = between(lambda n, x: n.conv(x), out=5, conv=conv(8, 5))
    plan = channels.plan({"conv.weight": [0, 1]})
    assert {cut.tensor for cut in plan.cuts} == {"conv.weight", "conv.bias", "tail.weight"}
    assert channels.plan({}).cuts == ()


def test_a_pixel_shuffle_loses_whole_pixels() -> None:
    channels = between(lambda _, x: nn.functional.pixel_shuffle(x, 2), out=2)
    plan = channels.plan({"head.weight": [1]})
    assert Cut("head.weight", 0, 8, (4, 5, 6, 7)) in plan.cuts
    assert Cut("tail.weight", 1, 2, (1,)) in plan.cuts


@pytest.mark.parametrize(
    ("kept", "message"),
    [
        ({"nowhere": [0]}, "no channel group is called 'nowhere'"),
        ({"head.weight": []}, r"has channels 0\.\.7; cannot keep \[\]"),
        ({"head.weight": [0, 8]}, r"has channels 0\.\.7"),
        ({"head.weight": [-1]}, r"has channels 0\.\.7"),
        ({"tail.weight": [0, 1]}, "tail.weight.* cannot be cut: the network's output"),
    ],
)
def test_impossible_choices_are_refused(kept: dict[str, list[int]], message: str) -> None:
    channels = between(lambda _, x: x.relu())
    with pytest.raises(PlanError, match=message):
        channels.plan(kept)


def test_tied_groups_must_keep_the_same_share() -> None:
    channels = between(lambda n, x: n.norm(x), norm=nn.GroupNorm(2, 8))
    first, second = (group.name for group in units_of(channels.prunable)[0].groups)
    assert channels.plan({first: [0, 1], second: [2, 3]}).cuts
    for uneven in ({first: [0, 1], second: [2]}, {first: [0, 1]}):
        with pytest.raises(PlanError, match="keep the same share"):
            channels.plan(uneven)


class Reshaping(nn.Module):
    """Remembers sizes under several guises, one of them misleading."""

    def __init__(self) -> None:
        super().__init__()
        self.dim = 8
        self.shape = (-1, 8, 6, 7)
        self.unrelated = "8"
        self.flag = True

    def forward(self, x: Tensor) -> Tensor:
        return x.flatten(2).reshape(1, self.dim, -1).reshape(self.shape)


def test_remembered_sizes_follow_and_what_only_looks_like_one_stays() -> None:
    channels = between(lambda n, x: n.views(x), size=(6, 7), views=Reshaping())
    relinks = {(r.attribute, r.path): r.new for r in channels.plan({"head.weight": [0, 3, 4]}).relinks}
    assert relinks[("dim", ())] == 3
    assert relinks[("shape", (1,))] == 3
    assert channels.group("head.weight").status == "exact"


class Levels(nn.Module):
    """Equal pieces whose number equals their size: only proof can tell which integer is which."""

    def __init__(self, levels: int, width: int) -> None:
        super().__init__()
        self.levels = levels
        self.convs = nn.ModuleList(conv(width // levels, width // levels) for _ in range(levels))

    def forward(self, x: Tensor) -> Tensor:
        pieces = x.chunk(self.levels, dim=1)
        return torch.cat([layer(piece) for layer, piece in zip(self.convs, pieces, strict=True)], 1)


def test_a_count_that_equals_a_size_by_chance_is_left_alone() -> None:
    channels = between(lambda n, x: n.levels(x), width=16, out=16, levels=Levels(4, 16))
    assert {g.status for g in channels.groups if g.name.startswith("head.weight") and g.channels == 4} == {
        "exact"
    }
    kept = zoo.any_cut(units_of(channels.prunable), 0)
    assert [r for r in channels.plan(kept).relinks if r.attribute == "levels"] == []


def test_groups_of_depthwise_convolutions_follow() -> None:
    channels = between(lambda n, x: n.conv(x), conv=conv(8, 8, groups=8))
    assert channels.plan({"head.weight": [0, 5]}).relinks == (Relink("conv", "groups", (), 8, 2),)


def test_groups_of_grouped_convolutions_stay() -> None:
    channels = between(lambda n, x: n.conv(x), conv=conv(8, 8, groups=2))
    kept = zoo.any_cut(units_of(channels.prunable), 0)
    assert channels.plan(kept).relinks == ()


def test_equal_sizes_in_one_tuple_are_told_apart_by_place() -> None:
    class Three(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.sizes = (2, 3, 3)

        def forward(self, x: Tensor) -> Tensor:
            a, b, c = x.split(self.sizes, dim=1)
            return torch.cat([a, b.relu(), c.tanh()], 1)

    channels = between(lambda n, x: n.three(x), three=Three())
    plan = channels.plan({"head.weight": [0, 1, 2, 3, 4, 7]})
    assert plan.relinks == (Relink("three", "sizes", (2,), 3, 1),)


def test_a_height_and_width_that_equal_a_channel_count_stay() -> None:
    class Resolved(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.dim, self.resolution = 8, (8, 8)

        def forward(self, x: Tensor) -> Tensor:
            return x.view(1, self.dim, -1).view(x.shape)

    channels = between(lambda n, x: n.inner(x), inner=Resolved())
    assert {r.attribute for r in channels.plan({"head.weight": [0, 1]}).relinks} == {"dim"}


def test_an_attribute_that_the_run_sets_itself_is_left_alone() -> None:
    """A fresh network, as a file is rebuilt from, does not have it yet."""

    class Remembering(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            self.width = x.shape[1]
            return x.flatten(2).reshape(1, self.width, 6, 8)

    channels = between(lambda n, x: n.views(x), views=Remembering())
    assert channels.group("head.weight").status == "exact"
    assert channels.plan({"head.weight": [0, 3, 4]}).relinks == ()
