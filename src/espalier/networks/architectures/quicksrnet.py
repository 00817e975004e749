"""QuickSRNet (Berger et al., CVPRW 2023, figure 2): a plain stack of convolutions for mobile hardware."""

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from espalier.networks.layers import conv3
from espalier.networks.recognise import Recognised, has, shuffle_scale


class Anchor(nn.Module):
    """The input repeated for every sub-pixel, as a pointwise convolution that may be trained."""

    def __init__(self, scale: int) -> None:
        super().__init__()
        self.net = nn.Conv2d(3, 3 * scale * scale, 1)
        with torch.no_grad():
            self.net.weight.copy_(torch.eye(3).repeat_interleave(scale * scale, dim=0)[:, :, None, None])
            nn.init.zeros_(self.net.bias)  # type: ignore[arg-type]

    def forward(self, x: Tensor) -> Tensor:
        return self.net(x)


class QuickSRNet(nn.Module):
    """Small: layers=2, medium: 5, both 32 channels without anchor; large: 11, 64 channels, with it.

    `copies` is how often the colours are stacked before the first convolution (the NTIRE 2024 entry: 4).
    """

    def __init__(
        self, *, scale: int = 4, layers: int = 11, channels: int = 64, anchor: bool = True, copies: int = 1
    ) -> None:
        super().__init__()
        stack: list[nn.Module] = [conv3(3 * copies, channels), clip()]
        for _ in range(layers):
            stack += [conv3(channels, channels), clip()]
        self.cnn = nn.Sequential(*stack)
        self.conv_last = conv3(channels, 3 * scale * scale)
        self.anchor = Anchor(scale) if anchor else None
        self.copies = copies
        self.clip_output = clip()
        self.depth_to_space = nn.PixelShuffle(scale)

    def forward(self, x: Tensor) -> Tensor:
        out = self.conv_last(self.cnn(torch.cat([x] * self.copies, dim=1)))
        if self.anchor is not None:
            out = self.anchor(x) + out
        return self.depth_to_space(self.clip_output(out))


NETWORK = QuickSRNet


def clip() -> nn.Hardtanh:
    """The activation of the network, and its output: clipped to 0..1."""
    return nn.Hardtanh(0.0, 1.0)


def recognise(state: Mapping[str, Tensor], scale: int | None = None) -> Recognised | None:  # noqa: ARG001
    """Keys cnn.0, cnn.2, ..., conv_last, anchor.net."""
    if not has(state, "cnn.0.weight", "cnn.2.weight", "conv_last.weight"):
        return None
    found = shuffle_scale(state["conv_last.weight"].shape[0])
    channels, inputs = state["cnn.0.weight"].shape[:2]
    if found is None or inputs % 3:
        return None
    arguments = {
        "scale": found,
        "layers": sum(name.startswith("cnn.") and name.endswith("weight") for name in state) - 1,
        "channels": channels,
        "anchor": "anchor.net.weight" in state,
        "copies": inputs // 3,
    }
    return Recognised(arguments, state)
