"""Real-ESRGAN's U-Net discriminator with spectral norm (Wang et al., ICCVW 2021, figure 6): a logit per pixel."""

from typing import Any

from torch import Tensor, nn
from torch.nn.functional import interpolate, leaky_relu
from torch.nn.utils.parametrizations import spectral_norm

from espalier.networks.layers import conv3


class UNetDiscriminator(nn.Module):
    """Three steps down, three up with the earlier features added; (N, 1, H, W)."""

    def __init__(self, *, channels: int = 64) -> None:
        super().__init__()
        c = channels
        self.first = conv3(3, c)
        self.down = nn.ModuleList(_strided(c * 2**i, c * 2 ** (i + 1)) for i in range(3))
        self.up = nn.ModuleList(_plain(c * 2 ** (i + 1), c * 2**i) for i in reversed(range(3)))
        self.last = nn.ModuleList(_plain(c, c) for _ in range(2))
        self.judge = conv3(c, 1)

    def forward(self, x: Tensor) -> Tensor:
        passed = [leaky_relu(self.first(x), 0.2)]
        for layer in self.down:
            passed.append(leaky_relu(layer(passed[-1]), 0.2))
        x = passed.pop()
        for layer in self.up:
            skip = passed.pop()
            wide = interpolate(x, skip.shape[-2:], mode="bilinear", align_corners=False)
            x = leaky_relu(layer(wide), 0.2) + skip
        for layer in self.last:
            x = leaky_relu(layer(x), 0.2)
        return self.judge(x)


def _strided(inputs: int, outputs: int) -> Any:
    return spectral_norm(nn.Conv2d(inputs, outputs, 4, stride=2, padding=1, bias=False))


def _plain(inputs: int, outputs: int) -> Any:
    return spectral_norm(conv3(inputs, outputs, bias=False))


DISCRIMINATOR = UNetDiscriminator
