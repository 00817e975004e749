"""SRGAN's discriminator (Ledig et al., CVPR 2017, figure 4): eight convolutions, two dense layers, one logit."""

from typing import Literal

from torch import Tensor, nn
from torch.nn.utils.parametrizations import spectral_norm

from espalier.networks.layers import conv3

SIDE = 6
"""Height and width before the dense layers: what the paper's 96 x 96 patches leave; others are pooled to it."""

Norm = Literal["batch", "spectral", "none"]


class SRGANDiscriminator(nn.Module):
    """One logit per image (N, 1). `norm="spectral"` takes BatchNorm out and bounds every layer instead."""

    def __init__(self, *, channels: int = 64, norm: Norm = "batch") -> None:
        super().__init__()
        layers: list[nn.Module] = [_bounded(conv3(3, channels), norm), nn.LeakyReLU(0.2)]
        width = channels
        for number in range(1, 8):
            after = channels * 2 ** (number // 2)
            conv = nn.Conv2d(width, after, 3, stride=1 + number % 2, padding=1, bias=norm != "batch")
            layers.append(_bounded(conv, norm))
            if norm == "batch":
                layers.append(nn.BatchNorm2d(after))
            layers.append(nn.LeakyReLU(0.2))
            width = after
        self.features = nn.Sequential(*layers, nn.AdaptiveAvgPool2d(SIDE))
        self.judge = nn.Sequential(
            nn.Flatten(),
            _bounded(nn.Linear(width * SIDE**2, 2 * width), norm),
            nn.LeakyReLU(0.2),
            _bounded(nn.Linear(2 * width, 1), norm),
        )

    def forward(self, x: Tensor) -> Tensor:
        return self.judge(self.features(x))


def _bounded(layer: nn.Module, norm: Norm) -> nn.Module:
    return spectral_norm(layer) if norm == "spectral" else layer


DISCRIMINATOR = SRGANDiscriminator
