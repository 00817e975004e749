"""BSRN (Li et al., CVPRW 2022, figures 2 and 3): blueprint separable convolutions in an RFDN.

The form of the NTIRE 2022 challenge.
"""

from collections.abc import Mapping

import torch
from torch import Tensor, nn
from torch.nn import functional

from espalier.networks.layers import SpatialAttention, conv3
from espalier.networks.network import Adapter
from espalier.networks.recognise import Recognised, count, has, shuffle_scale


class Blueprint(nn.Module):
    """A pointwise convolution, then one 3x3 filter per channel (BSConvU)."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.pw = nn.Conv2d(inputs, outputs, 1)
        self.dw = conv3(outputs, outputs, groups=outputs)

    def forward(self, x: Tensor) -> Tensor:
        return self.dw(self.pw(x))


class Attention(nn.Module):
    """Enhanced spatial attention of blueprint convolutions and GELU."""

    def __init__(self, channels: int, squeezed: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(channels, squeezed, 1)
        self.conv_f = nn.Conv2d(squeezed, squeezed, 1)
        self.conv2 = nn.Conv2d(squeezed, squeezed, 3, stride=2)
        self.conv_max = Blueprint(squeezed, squeezed)
        self.conv3 = Blueprint(squeezed, squeezed)
        self.conv3_ = Blueprint(squeezed, squeezed)
        self.conv4 = nn.Conv2d(squeezed, channels, 1)
        self.act = nn.GELU()

    def forward(self, x: Tensor) -> Tensor:
        squeezed = self.conv1(x)
        wide = functional.max_pool2d(self.conv2(squeezed), 7, stride=3)
        wide = self.act(self.conv3(self.act(self.conv_max(wide))))
        wide = functional.interpolate(self.conv3_(wide), x.shape[-2:], mode="bilinear", align_corners=False)
        return x * torch.sigmoid(self.conv4(wide + self.conv_f(squeezed)))


class Block(nn.Module):
    """ESDB: separable distillation, spatial attention, a weight per channel, a pointwise convolution."""

    def __init__(self, channels: int, squeezed: int) -> None:
        super().__init__()
        thin = channels // 2
        for step in (1, 2, 3):
            setattr(self, f"c{step}_d", nn.Conv2d(channels, thin, 1))
            setattr(self, f"c{step}_r", Blueprint(channels, channels))
        self.c4 = Blueprint(channels, thin)
        self.c5 = nn.Conv2d(4 * thin, channels, 1)
        self.esa = Attention(channels, squeezed)
        self.cw = nn.Parameter(1 + 0.2 * torch.randn(1, channels))
        self.conv_out = nn.Conv2d(channels, channels, 1)
        self.act = nn.GELU()

    def forward(self, x: Tensor) -> Tensor:
        out, distilled = x, []
        for step in (1, 2, 3):
            distilled.append(self.act(getattr(self, f"c{step}_d")(out)))
            out = self.act(getattr(self, f"c{step}_r")(out) + out)
        distilled.append(self.act(self.c4(out)))
        attended = self.esa(self.c5(torch.cat(distilled, dim=1)))
        return self.conv_out(attended * self.cw[:, :, None, None]) + x


class OneStep(nn.Module):
    """A convolution straight to the pixels."""

    def __init__(self, channels: int, scale: int) -> None:
        super().__init__()
        self.upsampleOneStep = nn.Sequential(conv3(channels, 3 * scale * scale), nn.PixelShuffle(scale))

    def forward(self, x: Tensor) -> Tensor:
        return self.upsampleOneStep(x)


class BSRN(nn.Module):
    """The colours four times over, blocks whose results are all fused, pixel shuffle."""

    def __init__(
        self,
        *,
        scale: int = 4,
        blocks: int = 5,
        channels: int = 48,
        attention: int | None = None,
        copies: int = 4,
    ) -> None:
        super().__init__()
        self.blocks, self.copies = blocks, copies
        self.fea_conv = Blueprint(3 * copies, channels)
        for index in range(blocks):
            setattr(self, f"B{index + 1}", Block(channels, attention or channels // 4))
        self.c1 = nn.Conv2d(blocks * channels, channels, 1)
        self.act = nn.GELU()
        self.c2 = Blueprint(channels, channels)
        self.upsampler = OneStep(channels, scale)

    def forward(self, x: Tensor) -> Tensor:
        shallow = out = self.fea_conv(torch.cat([x] * self.copies, dim=1))
        found = []
        for index in range(self.blocks):
            out = getattr(self, f"B{index + 1}")(out)
            found.append(out)
        fused = self.c2(self.act(self.c1(torch.cat(found, dim=1))))
        return self.upsampler(fused + shallow)


NETWORK = BSRN


def adapter(arguments: Mapping[str, object]) -> Adapter:  # noqa: ARG001
    return Adapter(minimum=SpatialAttention.MINIMUM)


def recognise(state: Mapping[str, Tensor], scale: int | None = None) -> Recognised | None:  # noqa: ARG001
    """Keys fea_conv.pw, B1.cw, B1.c1_r.pw, upsampler.upsampleOneStep.0; linear layers become convolutions."""
    if not has(
        state, "fea_conv.pw.weight", "B1.cw", "B1.c1_r.pw.weight", "upsampler.upsampleOneStep.0.weight"
    ):
        return None
    found = shuffle_scale(state["upsampler.upsampleOneStep.0.weight"].shape[0])
    channels, inputs = state["fea_conv.pw.weight"].shape[:2]
    if found is None or inputs % 3:
        return None
    arguments = {
        "scale": found,
        "blocks": count(state, r"B(\d+)\."),
        "channels": channels,
        "attention": state["B1.esa.conv1.weight"].shape[0],
        "copies": inputs // 3,
    }
    return Recognised(arguments, {name: as_convolution(name, tensor) for name, tensor in state.items()})


def as_convolution(name: str, tensor: Tensor) -> Tensor:
    """A linear layer's weight as that of a pointwise convolution."""
    return tensor[:, :, None, None] if name.endswith(".weight") and tensor.ndim == 2 else tensor
