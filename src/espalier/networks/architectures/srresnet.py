"""SRResNet, the generator of SRGAN (Ledig et al., CVPR 2017, figure 4): BatchNorm and PReLU."""

from collections.abc import Mapping
from typing import Literal

import torch
from torch import Tensor, nn

from espalier.networks.layers import conv3
from espalier.networks.recognise import Recognised, count, has, rename


class ResidualBlock(nn.Module):
    """Convolution, BatchNorm, PReLU, convolution, BatchNorm, the input added."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv1 = conv3(channels, channels)
        self.bn1 = nn.BatchNorm2d(channels)
        self.prelu = nn.PReLU()
        self.conv2 = conv3(channels, channels)
        self.bn2 = nn.BatchNorm2d(channels)

    def forward(self, x: Tensor) -> Tensor:
        out = self.prelu(self.bn1(self.conv1(x)))
        return self.bn2(self.conv2(out)) + x


class Upsample(nn.Module):
    """Convolution, pixel shuffle by 2, PReLU."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv = conv3(channels, 4 * channels)
        self.shuffle = nn.PixelShuffle(2)
        self.prelu = nn.PReLU()

    def forward(self, x: Tensor) -> Tensor:
        return self.prelu(self.shuffle(self.conv(x)))


class SRResNet(nn.Module):
    """Sixteen blocks as published; `output="tanh"` for generators that end in (tanh + 1) / 2."""

    def __init__(
        self,
        *,
        scale: int = 4,
        blocks: int = 16,
        channels: int = 64,
        fuse: Literal["batchnorm", "prelu"] = "batchnorm",
        output: Literal["linear", "tanh"] = "linear",
        kernel: int = 9,
    ) -> None:
        super().__init__()
        self.head = nn.Sequential(nn.Conv2d(3, channels, kernel, padding=kernel // 2), nn.PReLU())
        self.blocks = nn.Sequential(*(ResidualBlock(channels) for _ in range(blocks)))
        last = nn.BatchNorm2d(channels) if fuse == "batchnorm" else nn.PReLU()
        self.fuse = nn.Sequential(conv3(channels, channels), last)
        self.upsample = nn.Sequential(*(Upsample(channels) for _ in range(scale.bit_length() - 1)))
        self.tail = nn.Conv2d(channels, 3, kernel, padding=kernel // 2)
        self.output = output

    def forward(self, x: Tensor) -> Tensor:
        shallow = self.head(x)
        out = self.tail(self.upsample(shallow + self.fuse(self.blocks(shallow))))
        return (torch.tanh(out) + 1) / 2 if self.output == "tanh" else out


NETWORK = SRResNet


def recognise(state: Mapping[str, Tensor], scale: int | None = None) -> Recognised | None:  # noqa: ARG001
    """Keys block1.0, block2.conv1, ..., block8.0.conv (leftthomas/SRGAN, which ends in tanh), or our own."""
    if has(state, "block1.0.weight", "block2.conv1.weight", "block2.bn1.weight"):
        return _recognise(_from_numbered(state), output="tanh")
    if has(state, "head.0.weight", "blocks.0.bn1.weight", "fuse.0.weight", "tail.weight"):
        return _recognise(state, output="linear")
    return None


def _from_numbered(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """block1 is the head, the last two blocks are the fusing convolution and the upsampler with the tail."""
    last = count(state, r"block(\d+)\.")
    steps = count(state, rf"block{last}\.(\d+)\.conv\.")
    table = {
        r"block1\.": "head.",
        rf"block{last - 1}\.": "fuse.",
        rf"block{last}\.{steps}\.": "tail.",
        rf"block{last}\.": "upsample.",
    }
    table |= {rf"block{i}\.": f"blocks.{i - 2}." for i in range(2, last - 1)}
    return rename(state, table)


def _recognise(state: Mapping[str, Tensor], *, output: str) -> Recognised:
    channels, _, kernel, _ = state["head.0.weight"].shape
    arguments = {
        "scale": 2 ** count(state, r"upsample\.(\d+)\."),
        "blocks": count(state, r"blocks\.(\d+)\."),
        "channels": channels,
        "fuse": "batchnorm" if "fuse.1.running_mean" in state else "prelu",
        "output": output,
        "kernel": kernel,
    }
    return Recognised(arguments, state)
