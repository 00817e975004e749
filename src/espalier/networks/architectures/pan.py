"""PAN (Zhao et al., ECCVW 2020, figures 2 to 4): pixel attention in the trunk and in the upsampler."""

from collections.abc import Mapping

import torch
from torch import Tensor, nn
from torch.nn import functional

from espalier.networks.layers import conv3
from espalier.networks.recognise import Recognised, count, has


class PixelAttention(nn.Module):
    """Every pixel of every channel is weighted by a pointwise convolution of all channels."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(channels, channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        return x * torch.sigmoid(self.conv(x))


class AttendedConv(nn.Module):
    """A convolution whose result is weighted by pixel attention, then another convolution."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.k2 = nn.Conv2d(channels, channels, 1)
        self.k3 = conv3(channels, channels, bias=False)
        self.k4 = conv3(channels, channels, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        return self.k4(self.k3(x) * torch.sigmoid(self.k2(x)))


class SCPA(nn.Module):
    """Self-calibrated convolution: a plain half and an attended half, joined and added to the input."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        half = channels // 2
        self.conv1_a = nn.Conv2d(channels, half, 1, bias=False)
        self.conv1_b = nn.Conv2d(channels, half, 1, bias=False)
        self.k1 = nn.Sequential(conv3(half, half, bias=False))
        self.PAConv = AttendedConv(half)
        self.conv3 = nn.Conv2d(2 * half, channels, 1, bias=False)
        self.act = nn.LeakyReLU(0.2)

    def forward(self, x: Tensor) -> Tensor:
        plain = self.act(self.k1(self.act(self.conv1_a(x))))
        attended = self.act(self.PAConv(self.act(self.conv1_b(x))))
        return self.conv3(torch.cat([plain, attended], dim=1)) + x


class PAN(nn.Module):
    """Sixteen SCPA blocks; nearest upsampling with attention; the bilinear enlargement of the input added."""

    def __init__(
        self, *, scale: int = 4, blocks: int = 16, channels: int = 40, up_channels: int = 24
    ) -> None:
        super().__init__()
        self.scale = scale
        self.conv_first = conv3(3, channels)
        self.SCPA_trunk = nn.Sequential(*(SCPA(channels) for _ in range(blocks)))
        self.trunk_conv = conv3(channels, channels)
        for step in range(2 if scale == 4 else 1):
            setattr(self, f"upconv{step + 1}", conv3(channels if step == 0 else up_channels, up_channels))
            setattr(self, f"att{step + 1}", PixelAttention(up_channels))
            setattr(self, f"HRconv{step + 1}", conv3(up_channels, up_channels))
        self.conv_last = conv3(up_channels, 3)
        self.act = nn.LeakyReLU(0.2)

    def forward(self, x: Tensor) -> Tensor:
        shallow = self.conv_first(x)
        out = shallow + self.trunk_conv(self.SCPA_trunk(shallow))
        for step, factor in enumerate((2, 2) if self.scale == 4 else (self.scale,), start=1):
            out = functional.interpolate(out, scale_factor=float(factor), mode="nearest")
            out = self.act(getattr(self, f"att{step}")(getattr(self, f"upconv{step}")(out)))
            out = self.act(getattr(self, f"HRconv{step}")(out))
        enlarged = functional.interpolate(
            x, scale_factor=float(self.scale), mode="bilinear", align_corners=False
        )
        return self.conv_last(out) + enlarged


NETWORK = PAN


def recognise(state: Mapping[str, Tensor], scale: int | None = None) -> Recognised | None:
    """Keys conv_first, SCPA_trunk.0.PAConv.k2, upconv1, conv_last; x2 and x3 files look alike."""
    if not has(
        state, "conv_first.weight", "SCPA_trunk.0.PAConv.k2.weight", "upconv1.weight", "conv_last.weight"
    ):
        return None
    arguments = {
        "scale": 4 if "upconv2.weight" in state else (3 if scale == 3 else 2),
        "blocks": count(state, r"SCPA_trunk\.(\d+)\."),
        "channels": state["conv_first.weight"].shape[0],
        "up_channels": state["upconv1.weight"].shape[0],
    }
    return Recognised(arguments, state)
