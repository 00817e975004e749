"""SMFANet (Zheng et al., ECCV 2024, figures 2 and 3): self-modulated local and non-local features."""

from collections.abc import Mapping

import torch
from torch import Tensor, nn
from torch.nn import functional

from espalier.networks.layers import conv3
from espalier.networks.network import Adapter
from espalier.networks.recognise import Recognised, count, has, shuffle_scale

SHRINK = 8
"""How much smaller the non-local branch sees the features."""


class LocalDetail(nn.Module):
    """One or more 3x3 filters per channel, two pointwise convolutions (LDE)."""

    def __init__(self, channels: int, factor: int) -> None:
        super().__init__()
        hidden = channels * factor
        self.conv_0 = nn.Sequential(conv3(channels, hidden, groups=channels), nn.Conv2d(hidden, hidden, 1))
        self.conv_1 = nn.Conv2d(hidden, channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        return self.conv_1(functional.gelu(self.conv_0(x)))


class SMFA(nn.Module):
    """One half modulated by its own pooled maximum and variance, the other half for local detail."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.linear_0 = nn.Conv2d(channels, 2 * channels, 1)
        self.linear_1 = nn.Conv2d(channels, channels, 1)
        self.linear_2 = nn.Conv2d(channels, channels, 1)
        self.lde = LocalDetail(channels, 2)
        self.dw_conv = conv3(channels, channels, groups=channels)
        self.alpha = nn.Parameter(torch.ones(1, channels, 1, 1))
        self.belt = nn.Parameter(torch.zeros(1, channels, 1, 1))

    def forward(self, x: Tensor) -> Tensor:
        height, width = x.shape[-2:]
        both = self.linear_0(x)
        modulated = self.dw_conv.weight.shape[0]
        detail, wide = torch.split(both, [both.shape[1] - modulated, modulated], dim=1)
        pooled = self.dw_conv(functional.adaptive_max_pool2d(wide, (height // SHRINK, width // SHRINK)))
        centred = wide - wide.mean((2, 3), keepdim=True)
        pixels = height * width
        # spelled out, since not every exporter knows var
        variance = centred.square().mean((2, 3), keepdim=True) * (pixels / (pixels - 1))
        weight = functional.gelu(self.linear_1(pooled * self.alpha + variance * self.belt))
        wide = wide * functional.interpolate(weight, (height, width), mode="nearest")
        return self.linear_2(wide + self.lde(detail))


class PCFN(nn.Module):
    """Feed-forward network whose 3x3 convolution works on a part of the channels."""

    def __init__(self, channels: int, factor: float) -> None:
        super().__init__()
        hidden = int(channels * factor)
        self.conv_0 = nn.Conv2d(channels, hidden, 1)
        self.conv_1 = conv3(hidden // 4, hidden // 4)
        self.conv_2 = nn.Conv2d(hidden, channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        hidden = functional.gelu(self.conv_0(x))
        convolved = self.conv_1.weight.shape[1]
        part, rest = torch.split(hidden, [convolved, hidden.shape[1] - convolved], dim=1)
        return self.conv_2(torch.cat([functional.gelu(self.conv_1(part)), rest], dim=1))


class Block(nn.Module):
    """Both parts, each on features of unit length at every pixel, each added to its input."""

    def __init__(self, channels: int, factor: float) -> None:
        super().__init__()
        self.smfa = SMFA(channels)
        self.pcfn = PCFN(channels, factor)

    def forward(self, x: Tensor) -> Tensor:
        x = self.smfa(functional.normalize(x)) + x
        return self.pcfn(functional.normalize(x)) + x


class SMFANet(nn.Module):
    """Blocks after one convolution, a skip over all of them, pixel shuffle."""

    def __init__(self, *, scale: int = 4, blocks: int = 8, channels: int = 36, factor: float = 2.0) -> None:
        super().__init__()
        self.to_feat = conv3(3, channels)
        self.feats = nn.Sequential(*(Block(channels, factor) for _ in range(blocks)))
        self.to_img = nn.Sequential(conv3(channels, 3 * scale * scale), nn.PixelShuffle(scale))

    def forward(self, x: Tensor) -> Tensor:
        shallow = self.to_feat(x)
        return self.to_img(self.feats(shallow) + shallow)


NETWORK = SMFANet


def adapter(arguments: Mapping[str, object]) -> Adapter:  # noqa: ARG001
    return Adapter(minimum=SHRINK)


def recognise(state: Mapping[str, Tensor], scale: int | None = None) -> Recognised | None:  # noqa: ARG001
    """Keys to_feat, feats.0.smfa.alpha, feats.0.pcfn.conv_1, to_img.0."""
    if not has(
        state, "to_feat.weight", "feats.0.smfa.alpha", "feats.0.pcfn.conv_1.weight", "to_img.0.weight"
    ):
        return None
    found = shuffle_scale(state["to_img.0.weight"].shape[0])
    if found is None:
        return None
    channels = state["to_feat.weight"].shape[0]
    arguments = {
        "scale": found,
        "blocks": count(state, r"feats\.(\d+)\."),
        "channels": channels,
        "factor": state["feats.0.pcfn.conv_0.weight"].shape[0] / channels,
    }
    return Recognised(arguments, state)
