"""Layers that several of our networks share."""

from collections.abc import Callable, Iterable, Mapping, Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

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


def shuffle_factors(scale: int) -> list[int]:
    """The pixel shuffles that make up `scale`.

    Raises:
        NetworkError: it is none of 1, 2, 3, 4 and 8.
    """
    if scale not in (1, 2, 3, 4, 8):
        raise NetworkError(
            f"this network cannot be built for scale {scale}; its upsampler knows 1, 2, 3, 4 and 8"
        )
    return [3] if scale == 3 else [2] * (scale.bit_length() - 1)


def shuffle_steps(channels: int, scale: int) -> list[nn.Module]:
    """Convolution and pixel shuffle, once for 2 and 3, k times for 2**k (EDSR, figure 3)."""
    layers: list[nn.Module] = []
    for step in shuffle_factors(scale):
        layers += [conv3(channels, step * step * channels), nn.PixelShuffle(step)]
    return layers


class FusedBlocks(nn.Module):
    """Blocks in a row whose results are all fused, a skip over all of them, pixel shuffle (IMDN, RFDN)."""

    def __init__(
        self, prefix: str, block: Callable[[], nn.Module], *, scale: int, blocks: int, channels: int
    ) -> None:
        """Blocks are named `prefix`, counted from 1."""
        super().__init__()
        self.names = [f"{prefix}{index + 1}" for index in range(blocks)]
        self.fea_conv = conv3(3, channels)
        for name in self.names:
            setattr(self, name, block())
        self.c = nn.Sequential(nn.Conv2d(blocks * channels, channels, 1), nn.LeakyReLU(0.05))
        self.LR_conv = conv3(channels, channels)
        self.upsampler = nn.Sequential(conv3(channels, 3 * scale * scale), nn.PixelShuffle(scale))

    def forward(self, x: Tensor) -> Tensor:
        shallow = out = self.fea_conv(x)
        found = []
        for name in self.names:
            out = self.get_submodule(name)(out)
            found.append(out)
        fused = self.LR_conv(self.c(torch.cat(found, dim=1)))
        return self.upsampler(fused + shallow)


class ShuffleUpsampler(nn.Module):
    """Convolution, ReLU, pixel shuffle, as often as `scale` needs it (CARN)."""

    def __init__(self, channels: int, scale: int, *, groups: int = 1) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for step in shuffle_factors(scale):
            layers += [
                conv3(channels, step * step * channels, groups=groups),
                nn.ReLU(),
                nn.PixelShuffle(step),
            ]
        self.body = nn.Sequential(*layers)

    def forward(self, x: Tensor) -> Tensor:
        return self.body(x)

    @staticmethod
    def scale_of(state: Mapping[str, Tensor], prefix: str, channels: int) -> int:
        """The scale of an upsampler of `channels` whose tensors stand under `prefix`."""
        outputs = [len(t) for name, t in state.items() if name.startswith(prefix) and name.endswith("bias")]
        return 3 if outputs and outputs[0] == 9 * channels else 2 ** len(outputs)


class SpatialAttention(nn.Module):
    """Enhanced spatial attention (Liu et al., CVPR 2020); `deep` has the two convolutions that RLFN drops."""

    MINIMUM = 15
    """Smallest input that its stride and pooling leave anything of."""

    def __init__(self, channels: int, squeezed: int, *, deep: bool) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(channels, squeezed, 1)
        self.conv_f = nn.Conv2d(squeezed, squeezed, 1)
        self.conv2 = nn.Conv2d(squeezed, squeezed, 3, stride=2)
        self.conv_max = nn.Sequential() if not deep else conv3(squeezed, squeezed)
        self.conv3 = conv3(squeezed, squeezed)
        self.conv3_ = nn.Sequential() if not deep else conv3(squeezed, squeezed)
        self.act = nn.ReLU() if deep else nn.Identity()
        self.conv4 = nn.Conv2d(squeezed, channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        squeezed = self.conv1(x)
        wide = functional.max_pool2d(self.conv2(squeezed), 7, stride=3)
        wide = self.conv3_(self.act(self.conv3(self.act(self.conv_max(wide)))))
        wide = functional.interpolate(wide, x.shape[-2:], mode="bilinear", align_corners=False)
        return x * torch.sigmoid(self.conv4(wide + self.conv_f(squeezed)))
