"""IMDN (Hui et al., ACM MM 2019, figures 2 and 3): information multi-distillation."""

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from espalier.networks.layers import FusedBlocks, conv3
from espalier.networks.recognise import Recognised, count, has, shuffle_scale

SMALLEST = 1e-30
"""A variance from which the square root has a gradient: channels that were set to zero have none of their own."""


class ContrastAttention(nn.Module):
    """Channel attention on the sum of standard deviation and mean (CCA)."""

    def __init__(self, channels: int, reduction: int = 16) -> None:
        super().__init__()
        self.conv_du = nn.Sequential(
            nn.Conv2d(channels, channels // reduction, 1),
            nn.ReLU(),
            nn.Conv2d(channels // reduction, channels, 1),
            nn.Sigmoid(),
        )

    def forward(self, x: Tensor) -> Tensor:
        mean = x.mean((2, 3), keepdim=True)
        variance = (x - mean).square().mean((2, 3), keepdim=True)
        deviation = variance.clamp(min=SMALLEST).sqrt()
        return x * self.conv_du(deviation + mean)


class IMDModule(nn.Module):
    """Four convolutions; after each of the first three a part is set aside, the rest goes on."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        distilled = channels // 4
        remaining = channels - distilled
        self.c1 = conv3(channels, channels)
        self.c2 = conv3(remaining, channels)
        self.c3 = conv3(remaining, channels)
        self.c4 = conv3(remaining, distilled)
        self.act = nn.LeakyReLU(0.05)
        self.c5 = nn.Conv2d(4 * distilled, channels, 1)
        self.cca = ContrastAttention(4 * distilled)

    def forward(self, x: Tensor) -> Tensor:
        first, rest = set_aside(self.act(self.c1(x)), self.c2)
        second, rest = set_aside(self.act(self.c2(rest)), self.c3)
        third, rest = set_aside(self.act(self.c3(rest)), self.c4)
        kept = torch.cat([first, second, third, self.c4(rest)], dim=1)
        return self.c5(self.cca(kept)) + x


class IMDN(FusedBlocks):
    """Six modules, all of their results fused; pixel shuffle."""

    def __init__(self, *, scale: int = 4, blocks: int = 6, channels: int = 64) -> None:
        super().__init__("IMDB", lambda: IMDModule(channels), scale=scale, blocks=blocks, channels=channels)


NETWORK = IMDN


def set_aside(x: Tensor, next_conv: nn.Conv2d) -> tuple[Tensor, Tensor]:
    """Split `x` so that the second part is what `next_conv` takes."""
    remaining = next_conv.weight.shape[1]
    distilled, rest = torch.split(x, [x.shape[1] - remaining, remaining], dim=1)
    return distilled, rest


def recognise(state: Mapping[str, Tensor], scale: int | None = None) -> Recognised | None:  # noqa: ARG001
    """Keys fea_conv, IMDB1.c1 ... IMDB1.cca.conv_du.0, c.0, LR_conv, upsampler.0."""
    if not has(
        state, "fea_conv.weight", "IMDB1.c4.weight", "IMDB1.cca.conv_du.0.weight", "upsampler.0.weight"
    ):
        return None
    found = shuffle_scale(state["upsampler.0.weight"].shape[0])
    if found is None:
        return None
    channels = state["fea_conv.weight"].shape[0]
    return Recognised({"scale": found, "blocks": count(state, r"IMDB(\d+)\."), "channels": channels}, state)
