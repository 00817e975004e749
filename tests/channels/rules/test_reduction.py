"""Sums, means, extremes and coordinates, each between two convolutions: what is grouped, what is pinned."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from tests.channels.micro import WHOLE, between, conv, positions, summary

REDUCED_OVER_CHANNELS: dict[str, Callable[[Any, Tensor], Tensor]] = {
    "mean": lambda _, x: x * x.mean(1, keepdim=True),
    "sum": lambda _, x: x * x.sum(1, keepdim=True),
    "amax": lambda _, x: x * x.amax(1, keepdim=True),
    "max": lambda _, x: x * x.max(1, keepdim=True).values,
    "var": lambda _, x: x * x.var(1, keepdim=True),
    "norm": lambda _, x: functional.normalize(x, dim=1),
    "softmax": lambda _, x: x.softmax(1),
    "log_softmax": lambda _, x: x.log_softmax(1),
    "spatial attention": lambda n, x: x * n.gate(torch.cat([x.mean(1, True), x.amax(1, True)], 1)).sigmoid(),
    "everything": lambda _, x: x / (1 + x.mean()),
    "rms": lambda _, x: x * (x.square().mean(1, keepdim=True) + 1e-6).rsqrt(),
}


EXACT = {"sum", "norm"}
"""Zeros add nothing to these."""


@pytest.mark.parametrize("name", REDUCED_OVER_CHANNELS)
def test_reductions_over_channels(name: str) -> None:
    children = {"gate": nn.Conv2d(2, 1, 3, padding=1)} if name == "spatial attention" else {}
    channels = between(REDUCED_OVER_CHANNELS[name], **children)
    status = "exact" if name in EXACT else "normalised"
    assert summary(channels)["head.weight"] == (8, status)


def test_coordinates_of_grid_sample_stay() -> None:
    def middle(n: Any, x: Tensor) -> Tensor:
        grid = n.offset(x).permute(0, 2, 3, 1)
        return functional.grid_sample(x, grid, align_corners=False)

    channels = between(middle, offset=conv(8, 2))
    assert summary(channels)["head.weight"] == (8, "exact")
    assert summary(channels)["offset.weight"] == (2, "pinned")
    assert "coordinates" in channels.group("offset.weight").reason


def test_a_few_numbers_for_each_channel_go_together() -> None:
    channels = between(lambda n, x: n.wide(x).view(1, -1, 3, 6, 8).amax(2), wide=conv(8, 24))
    assert summary(channels)["wide.weight"] == (8, "normalised")
    assert positions(channels, "wide.weight", "wide.weight", 0)[1] == [3, 4, 5]


def test_pooling_in_one_and_three_dimensions_keeps_channels() -> None:
    def middle(_: Any, x: Tensor) -> Tensor:
        flat = functional.avg_pool1d(x.flatten(2), 2).view(1, -1, 3, 8)
        return functional.avg_pool3d(flat.unsqueeze(2), (1, 1, 2)).squeeze(2)

    assert summary(between(middle)) == WHOLE
