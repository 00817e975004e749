"""SPAN (Wan et al., CVPRW 2024, figures 2 and 3) as deployed: no re-parameterised branches.

The form in training, three convolutions and a skip per layer, is spandrel's SPAN.
"""

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from espalier.networks.layers import DIV2K_MEAN, conv3
from espalier.networks.recognise import Recognised, count, has, shuffle_scale


class FoldedConv(nn.Module):
    """What is left of Conv3XC after training."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.eval_conv = conv3(inputs, outputs)

    def forward(self, x: Tensor) -> Tensor:
        return self.eval_conv(x)


class SPAB(nn.Module):
    """Three convolutions; the result plus the input, weighted by an odd function of the result alone."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.c1_r, self.c2_r, self.c3_r = (FoldedConv(channels, channels) for _ in range(3))

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        first = functional.silu(self.c1_r(x))
        out = self.c3_r(functional.silu(self.c2_r(first)))
        return (out + x) * (torch.sigmoid(out) - 0.5), first


class SPAN(nn.Module):
    """Six blocks; the first and last features, the first block and the last one's first layer are joined."""

    mean: Tensor

    def __init__(
        self,
        *,
        scale: int = 4,
        blocks: int = 6,
        channels: int = 48,
        joined: int | None = None,
        peak: float = 255.0,
        mean: Sequence[float] = DIV2K_MEAN,
    ) -> None:
        super().__init__()
        self.blocks, self.peak = blocks, peak
        self.register_buffer("mean", torch.tensor(list(mean)).reshape(1, 3, 1, 1))
        self.conv_1 = FoldedConv(3, channels)
        for index in range(blocks):
            setattr(self, f"block_{index + 1}", SPAB(channels))
        self.conv_2 = FoldedConv(channels, channels)
        self.conv_cat = nn.Conv2d(4 * channels, joined or channels, 1)
        self.upsampler = nn.Sequential(conv3(joined or channels, 3 * scale * scale), nn.PixelShuffle(scale))

    def forward(self, x: Tensor) -> Tensor:
        shallow = self.conv_1((x - self.mean) * self.peak)
        found: list[Tensor] = []
        out = inner = shallow
        for index in range(self.blocks):
            out, inner = getattr(self, f"block_{index + 1}")(out)
            found.append(out)
        return self.upsampler(self.conv_cat(torch.cat([shallow, self.conv_2(out), found[0], inner], dim=1)))


NETWORK = SPAN


def recognise(state: Mapping[str, Tensor], scale: int | None = None) -> Recognised | None:  # noqa: ARG001
    """Keys conv_1.eval_conv, block_1.c1_r.eval_conv, conv_cat, upsampler.0; conv_1.sk makes it spandrel's."""
    if "conv_1.sk.weight" in state:
        return None
    if not has(state, "conv_1.eval_conv.weight", "block_1.c1_r.eval_conv.weight", "conv_cat.weight"):
        return None
    found = shuffle_scale(state["upsampler.0.weight"].shape[0])
    if found is None:
        return None
    arguments = {
        "scale": found,
        "blocks": count(state, r"block_(\d+)\."),
        "channels": state["conv_1.eval_conv.weight"].shape[0],
        "joined": state["conv_cat.weight"].shape[0],
    }
    mean = state.get("mean", torch.tensor(DIV2K_MEAN)).reshape(1, 3, 1, 1)
    return Recognised(arguments, {**state, "mean": mean})
