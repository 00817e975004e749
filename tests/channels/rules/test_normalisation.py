"""Norms, and what depends on the order of channels, each between two convolutions: what is grouped, what is pinned."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from espalier.channels import units_of
from tests.channels.micro import assert_never_wrong, between, summary


@pytest.mark.parametrize(
    "middle",
    [
        lambda _, x: torch.roll(x, 1, 1),
        lambda _, x: x[:, torch.tensor([3, 1, 2, 0, 4, 5, 7, 6])],
        lambda _, x: x.sort(1).values,
        lambda _, x: x.cumsum(1),
        lambda _, x: x + x.topk(8, 1).values,
        lambda _, x: x * x.argmax(1, keepdim=True),
        lambda _, x: x * torch.arange(8).to(x).view(1, 8, 1, 1),
        lambda _, x: x + torch.ones(8, 6, 8).to(x),
    ],
    ids=["roll", "index", "sort", "cumsum", "topk", "argmax", "numbers by position", "a full constant"],
)
def test_what_depends_on_the_order_of_channels_is_never_offered(
    middle: Callable[[Any, Tensor], Tensor],
) -> None:
    channels = between(middle)
    assert [g.name for g in channels.prunable] == []
    assert all(g.reason for g in channels.groups)


@pytest.mark.parametrize(
    ("norm", "status"),
    [
        (nn.BatchNorm2d(8), "exact"),
        (nn.InstanceNorm2d(8, affine=True), "exact"),
        (nn.GroupNorm(1, 8), "normalised"),
        (nn.GroupNorm(8, 8), "normalised"),
        (nn.PReLU(8), "exact"),
        (nn.PReLU(), "exact"),
    ],
    ids=lambda v: str(v),
)
def test_layers_with_a_parameter_per_channel(norm: nn.Module, status: str) -> None:
    channels = between(lambda n, x: n.norm(x), norm=norm)
    if not isinstance(norm, nn.GroupNorm) or norm.num_groups == 1:
        assert summary(channels)["head.weight"] == (8, status)
    assert_never_wrong(channels)


def test_groups_of_a_group_norm_lose_equally_many() -> None:
    channels = between(lambda n, x: n.norm(x), norm=nn.GroupNorm(2, 8))
    (unit,) = units_of(channels.prunable)
    assert [(g.channels, g.status) for g in unit.groups] == [(4, "normalised")] * 2


def test_layer_norm_over_channels_is_relinked() -> None:
    channels = between(lambda n, x: n.norm(x.movedim(1, -1)).movedim(-1, 1), norm=nn.LayerNorm(8))
    assert summary(channels) == {"head.weight": (8, "normalised")}
    assert channels.plan({"head.weight": [1, 2]}).relinks[0].new == 2


def test_rms_norm_over_channels() -> None:
    channels = between(lambda n, x: n.norm(x.movedim(1, -1)).movedim(-1, 1), norm=nn.RMSNorm(8))
    assert summary(channels) == {"head.weight": (8, "normalised")}
