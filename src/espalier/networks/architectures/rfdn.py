"""RFDN (Liu et al., ECCVW 2020, figures 2 and 3): residual feature distillation; images in 0..255."""

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from espalier.networks.layers import FusedBlocks, SpatialAttention, conv3
from espalier.networks.network import Adapter
from espalier.networks.recognise import Recognised, count, has, shuffle_scale


class RFDB(nn.Module):
    """Three residual convolutions, a thin pointwise look at the input of each, a fourth one; all fused."""

    def __init__(self, channels: int, attention: int, residual: bool) -> None:
        super().__init__()
        thin = channels // 2
        self.residual = residual
        for step in (1, 2, 3):
            setattr(self, f"c{step}_d", nn.Conv2d(channels, thin, 1))
            setattr(self, f"c{step}_r", conv3(channels, channels))
        self.c4 = conv3(channels, thin)
        self.act = nn.LeakyReLU(0.05)
        self.c5 = nn.Conv2d(4 * thin, channels, 1)
        self.esa = SpatialAttention(channels, attention, deep=True)

    def forward(self, x: Tensor) -> Tensor:
        distilled = []
        for step in (1, 2, 3):
            distilled.append(self.act(getattr(self, f"c{step}_d")(x)))
            refined = getattr(self, f"c{step}_r")(x)
            x = self.act(refined + x if self.residual else refined)
        distilled.append(self.act(self.c4(x)))
        return self.esa(self.c5(torch.cat(distilled, dim=1)))


class RFDN(FusedBlocks):
    """Blocks whose results are all fused; `residual=False` leaves out the skips around the convolutions."""

    def __init__(
        self,
        *,
        scale: int = 4,
        blocks: int = 4,
        channels: int = 50,
        attention: int | None = None,
        residual: bool = True,
    ) -> None:
        def block() -> RFDB:
            return RFDB(channels, attention or channels // 4, residual)

        super().__init__("B", block, scale=scale, blocks=blocks, channels=channels)


NETWORK = RFDN


def adapter(arguments: Mapping[str, object]) -> Adapter:  # noqa: ARG001
    return Adapter(range=255.0, minimum=SpatialAttention.MINIMUM)


def recognise(state: Mapping[str, Tensor], scale: int | None = None) -> Recognised | None:  # noqa: ARG001
    """Keys fea_conv, B1.c1_d, B1.c1_r, B1.esa.conv3_, c.0, LR_conv, upsampler.0."""
    if not has(
        state, "fea_conv.weight", "B1.c1_r.weight", "B1.esa.conv3_.weight", "c.0.weight", "upsampler.0.weight"
    ):
        return None
    found = shuffle_scale(state["upsampler.0.weight"].shape[0])
    if found is None:
        return None
    channels, attention = state["fea_conv.weight"].shape[0], state["B1.esa.conv1.weight"].shape[0]
    arguments = {
        "scale": found,
        "blocks": count(state, r"B(\d+)\."),
        "channels": channels,
        "attention": attention,
        # the one public RFDN without skips (NTIRE 2022, team 40) is told by the attention width it kept
        "residual": attention == channels // 4,
    }
    return Recognised(arguments, state)
