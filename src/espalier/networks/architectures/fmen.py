"""FMEN (Du et al., CVPRW 2022, figures 2 and 3): fast and memory-efficient.

In its re-parameterised form; images in 0..255.
"""

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from espalier.networks.layers import conv3
from espalier.networks.network import Adapter
from espalier.networks.recognise import Recognised, count, has, shuffle_scale


class FoldedConv(nn.Module):
    """What is left of the re-parameterised residual block after training: one convolution."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.rep_conv = conv3(channels, channels)

    def forward(self, x: Tensor) -> Tensor:
        return self.rep_conv(x)


class BasicBlock(nn.Module):
    """Convolution, leaky ReLU, convolution; the skips are inside the weights."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv1 = FoldedConv(channels)
        self.conv2 = FoldedConv(channels)

    def forward(self, x: Tensor) -> Tensor:
        return self.conv2(leaky(self.conv1(x)))


class HFAB(nn.Module):
    """High-frequency attention: squeeze, blocks, expand, and weight the input by the result."""

    def __init__(self, channels: int, squeezed: int, blocks: int) -> None:
        super().__init__()
        self.squeeze = conv3(channels, squeezed)
        self.convs = nn.Sequential(*(BasicBlock(squeezed) for _ in range(blocks)))
        self.excitate = conv3(squeezed, channels)

    def forward(self, x: Tensor) -> Tensor:
        out = leaky(self.convs(leaky(self.squeeze(x))))
        return x * torch.sigmoid(self.excitate(out))


class FMEN(nn.Module):
    """A warm-up attention block, pairs of basic and attention blocks, a skip over all of them, pixel shuffle.

    `squeezed` and `depths` give the width and blocks of the attention blocks, the warm-up's first.
    """

    def __init__(
        self,
        *,
        scale: int = 4,
        channels: int = 50,
        squeezed: Sequence[int] = (12, 16, 16, 16, 16),
        depths: Sequence[int] = (2, 1, 1, 1, 1),
    ) -> None:
        super().__init__()
        attention = [HFAB(channels, s, d) for s, d in zip(squeezed, depths, strict=True)]
        self.head = conv3(3, channels)
        self.warmup = nn.Sequential(conv3(channels, channels), attention[0])
        self.basic_blocks = nn.ModuleList(BasicBlock(channels) for _ in attention[1:])
        self.hfabs = nn.ModuleList(attention[1:])
        self.lr_conv = conv3(channels, channels)
        self.tail = nn.Sequential(conv3(channels, 3 * scale * scale), nn.PixelShuffle(scale))

    def forward(self, x: Tensor) -> Tensor:
        shallow = self.head(x)
        out = self.warmup(shallow)
        for block, attention in zip(self.basic_blocks, self.hfabs, strict=True):
            out = attention(block(out))
        return self.tail(self.lr_conv(out) + shallow)


NETWORK = FMEN


def leaky(x: Tensor) -> Tensor:
    """The activation of the network."""
    return functional.leaky_relu(x, 0.1)


def adapter(arguments: Mapping[str, object]) -> Adapter:  # noqa: ARG001
    return Adapter(range=255.0)


def recognise(state: Mapping[str, Tensor], scale: int | None = None) -> Recognised | None:  # noqa: ARG001
    """Keys head, warmup.1.squeeze, basic_blocks.0.conv1.rep_conv, hfabs.0.squeeze, lr_conv, tail.0."""
    if not has(state, "warmup.1.squeeze.weight", "basic_blocks.0.conv1.rep_conv.weight", "tail.0.weight"):
        return None
    found = shuffle_scale(state["tail.0.weight"].shape[0])
    if found is None:
        return None
    attention = ["warmup.1", *(f"hfabs.{i}" for i in range(count(state, r"hfabs\.(\d+)\.")))]
    arguments = {
        "scale": found,
        "channels": state["head.weight"].shape[0],
        "squeezed": [state[f"{name}.squeeze.weight"].shape[0] for name in attention],
        "depths": [count(state, rf"{name}\.convs\.(\d+)\.") for name in attention],
    }
    return Recognised(arguments, state)
