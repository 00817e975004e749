"""Layers that several of our networks share."""

from collections.abc import Iterable, Sequence

import torch
from torch import Tensor, nn

from espalier.errors import NetworkError

DIV2K_MEAN = (0.4488, 0.4371, 0.4040)
"""Mean colour of DIV2K, RGB in 0..1, as used by EDSR and its descendants."""


def conv3(inputs: int, outputs: int, *, bias: bool = True, groups: int = 1) -> nn.Conv2d:
    """A 3x3 convolution that keeps the size."""
    return nn.Conv2d(inputs, outputs, 3, padding=1, bias=bias, groups=groups)


class MeanShift(nn.Module):
    """Adds a fixed colour; not trained, not pruned."""

    shift: Tensor

    def __init__(self, colour: Iterable[float]) -> None:
        super().__init__()
        self.register_buffer("shift", torch.tensor(list(colour)).reshape(3, 1, 1))

    def forward(self, x: Tensor) -> Tensor:
        return x + self.shift


def mean_shifts(mean: Sequence[float], peak: float) -> tuple[MeanShift, MeanShift]:
    """Subtract, and add back, a mean colour given in 0..1."""
    return MeanShift(-peak * c for c in mean), MeanShift(peak * c for c in mean)


def shuffle_steps(channels: int, scale: int) -> list[nn.Module]:
    """Convolution and pixel shuffle, once for 2 and 3, k times for 2**k (EDSR, figure 3)."""
    if scale not in (1, 2, 3, 4, 8):
        raise NetworkError(f"this network cannot be built for scale {scale}; it has upsamplers for 1, 2, 3, 4 and 8")
    steps = [3] if scale == 3 else [2] * (scale.bit_length() - 1)
    layers: list[nn.Module] = []
    for step in steps:
        layers += [conv3(channels, step * step * channels), nn.PixelShuffle(step)]
    return layers
