"""Sizes and scales learnt by running."""

import pytest
import torch
from torch import Tensor, nn

from espalier.errors import NetworkError
from espalier.networks.network import Adapter
from espalier.networks.probe import probe


class Needs(nn.Module):
    """Doubles images whose sides pass a test."""

    def __init__(self, multiple: int = 1, square: bool = False, only: int | None = None) -> None:
        super().__init__()
        self.multiple, self.square, self.only = multiple, square, only

    def forward(self, x: Tensor) -> Tensor:
        height, width = x.shape[-2:]
        fits = height % self.multiple == width % self.multiple == 0
        if not fits or (self.square and height != width) or self.only not in (None, height):
            raise RuntimeError("shape is invalid")
        return nn.functional.interpolate(x, scale_factor=2)


@pytest.mark.parametrize("multiple", [1, 2, 4, 8, 16, 24, 64])
def test_multiples(multiple: int) -> None:
    adapter, scale = probe(Needs(multiple), Adapter(), "net")
    assert (adapter, scale) == (Adapter(multiple_of=multiple), 2)


def test_squares() -> None:
    assert probe(Needs(8, square=True), Adapter(), "net")[0] == Adapter(multiple_of=8, square=True)
    assert probe(Needs(square=True, only=64), Adapter(), "net")[0] == Adapter(minimum=64, square=True)


def test_what_is_known_is_kept() -> None:
    known = Adapter(range=255.0, multiple_of=4, minimum=40)
    assert probe(Needs(4), known, "net") == (known, 2)


class Rows(nn.Module):
    """Doubles images, and takes their images and channels for one axis as they lie in memory."""

    def forward(self, x: Tensor) -> Tensor:
        count, channels, height, width = x.shape
        planes = x.view(count * channels, 1, height, width)
        return nn.functional.interpolate(planes, scale_factor=2).view(count, channels, 2 * height, 2 * width)


class Single(nn.Module):
    """Takes no batch, whatever its layout."""

    def forward(self, x: Tensor) -> Tensor:
        return nn.functional.interpolate(x.view(1, 3, *x.shape[2:]), scale_factor=2)


def test_the_layout_that_its_views_need_is_learnt() -> None:
    assert probe(Rows(), Adapter(), "net") == (Adapter(contiguous=True), 2)
    assert probe(Single(), Adapter(), "net") == (Adapter(), 2)


def test_mode_is_restored() -> None:
    body = Needs().train()
    probe(body, Adapter(), "net")
    assert body.training


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (Needs(7), "shape is invalid"),
        (nn.Flatten(), "expected"),
        (nn.AvgPool2d(2), "whole multiple"),
        (nn.Conv2d(3, 4, 1), "expected \\(1, 3"),
    ],
)
def test_failures_are_named(body: nn.Module, message: str) -> None:
    with pytest.raises(NetworkError, match=message):
        probe(body, Adapter(), "net")


def test_luma_networks_are_tried_on_one_channel() -> None:
    with torch.no_grad():
        assert probe(nn.Conv2d(1, 1, 1), Adapter(luma=True), "net")[1] == 1
