"""Tensors that a network makes on the way: as long as the channels, they follow a cut."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from tests.channels.micro import WHOLE, assert_never_wrong, between, conv, positions, summary


def written(made: Tensor, x: Tensor) -> Tensor:
    made[:, :, ::2] = x[:, :, ::2]
    made[:, :, 1::2] = x[:, :, 1::2] * 2
    return made


FOLLOW: dict[str, Callable[[Any, Tensor], Tensor]] = {
    "written into zeros": lambda _, x: written(torch.zeros(x.shape, dtype=x.dtype), x),
    "written into new_empty": lambda _, x: written(x.new_empty(x.shape), x),
    "joined to zeros": lambda n, x: n.wide(torch.cat([x, torch.zeros(x.size()).to(x)], 1)),
    "a state": lambda n, x: n.wide(torch.cat([x.new_zeros(1, n.known, 6, 8), x], 1)),
    "expanded": lambda _, x: x * x.mean(1, keepdim=True).expand_as(x).reshape(x.shape),
    "repeated": lambda _, x: x + x.mean((2, 3), keepdim=True).repeat(1, 1, 6, 8),
    "identity": lambda _, x: torch.einsum("nchw,cd->ndhw", x, torch.eye(x.shape[1]).to(x)),
}


@pytest.mark.parametrize("name", FOLLOW)
def test_what_is_made_follows_the_channels(name: str) -> None:
    children: dict[str, Any] = (
        {"wide": conv(16, 8), "known": 8} if name in ("joined to zeros", "a state") else {}
    )
    channels = between(FOLLOW[name], **children)
    assert channels.group("head.weight").proven, summary(channels)
    assert channels.group("head.weight").channels == WHOLE["head.weight"][0]


def test_random_numbers_are_never_offered() -> None:
    channels = between(lambda _, x: x + torch.randn(x.shape).to(x))
    assert not channels.prunable


class Filtered(nn.Module):
    """The same four filters for each channel, and back."""

    def __init__(self) -> None:
        super().__init__()
        self.mix = nn.Conv2d(32, 32, 1)
        self.register_buffer("filters", torch.rand(4, 1, 2, 2))

    def forward(self, x: Tensor) -> Tensor:
        filters = self.filters.repeat(x.shape[1], 1, 1, 1)
        bands = functional.conv2d(x, filters, stride=2, groups=x.shape[1])
        return x + functional.conv_transpose2d(self.mix(bands), filters, stride=2, groups=x.shape[1])


def test_each_channel_may_have_a_copy_of_the_same_filters() -> None:
    channels = between(lambda n, x: n.filtered(x), filtered=Filtered())
    found = {name: kept for name, kept in summary(channels).items() if kept[1] == "exact"}
    assert found == WHOLE
    assert positions(channels, "head.weight", "filtered.mix.weight", 0) == [
        [4 * c + k for k in range(4)] for c in range(8)
    ]
    assert_never_wrong(channels)
