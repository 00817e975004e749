"""CARN-M (Ahn et al., ECCV 2018, figures 2 and 4): cascades of one shared, grouped residual block."""

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from espalier.networks.layers import DIV2K_MEAN, ShuffleUpsampler, conv3, mean_shifts
from espalier.networks.recognise import Recognised, has, rename, stored_means, without


class EfficientBlock(nn.Module):
    """Residual-E: two grouped convolutions and a pointwise one, the input added, then ReLU."""

    def __init__(self, channels: int, groups: int) -> None:
        super().__init__()
        self.body = nn.Sequential(
            conv3(channels, channels, groups=groups),
            nn.ReLU(),
            conv3(channels, channels, groups=groups),
            nn.ReLU(),
            nn.Conv2d(channels, channels, 1),
        )
        self.act = nn.ReLU()

    def forward(self, x: Tensor) -> Tensor:
        return self.act(x + self.body(x))


class Fuse(nn.Module):
    """Pointwise convolution and ReLU over everything that came before."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.body = nn.Sequential(nn.Conv2d(inputs, outputs, 1), nn.ReLU())

    def forward(self, x: Tensor) -> Tensor:
        return self.body(x)


class CascadingBlock(nn.Module):
    """The same residual block three times, each result fused with all earlier ones."""

    def __init__(self, channels: int, groups: int) -> None:
        super().__init__()
        self.b1 = EfficientBlock(channels, groups)
        self.c1, self.c2, self.c3 = (Fuse(n * channels, channels) for n in (2, 3, 4))

    def forward(self, x: Tensor) -> Tensor:
        return cascade(x, (self.b1, self.b1, self.b1), (self.c1, self.c2, self.c3))


class CARN(nn.Module):
    """CARN-M: three cascading blocks, themselves cascaded; one upsampler, for `scale`."""

    def __init__(self, *, scale: int = 4, channels: int = 64, groups: int = 4) -> None:
        super().__init__()
        self.sub_mean, self.add_mean = mean_shifts(DIV2K_MEAN, 1.0)
        self.entry = conv3(3, channels)
        self.b1, self.b2, self.b3 = (CascadingBlock(channels, groups) for _ in range(3))
        self.c1, self.c2, self.c3 = (Fuse(n * channels, channels) for n in (2, 3, 4))
        self.upsample = ShuffleUpsampler(channels, scale, groups=groups)
        self.exit = conv3(channels, 3)

    def forward(self, x: Tensor) -> Tensor:
        shallow = self.entry(self.sub_mean(x))
        deep = cascade(shallow, (self.b1, self.b2, self.b3), (self.c1, self.c2, self.c3))
        return self.add_mean(self.exit(self.upsample(deep)))


NETWORK = CARN


def cascade(x: Tensor, blocks: tuple[nn.Module, ...], fuses: tuple[nn.Module, ...]) -> Tensor:
    """Every block sees the fusion of the input and of all blocks before it."""
    seen = x
    for block, fuse in zip(blocks, fuses, strict=True):
        seen = torch.cat([seen, block(x)], dim=1)
        x = fuse(seen)
    return x


def recognise(state: Mapping[str, Tensor], scale: int | None = None) -> Recognised | None:
    """Keys b1.b1.body.4 (the pointwise end of Residual-E), c3.body.0, upsample.up4.body.0 (one per scale)."""
    if not has(state, "entry.weight", "b1.b1.body.4.weight", "b1.c3.body.0.weight", "c3.body.0.weight"):
        return None
    ups = sorted({name.split(".")[1] for name in state if name.startswith("upsample.up")})
    wanted = f"up{scale}" if f"up{scale}" in ups else (ups[-1] if ups else "")
    others = tuple(f"upsample.{up}." for up in ups if up != wanted)
    kept = without(state, *others, "sub_mean.", "add_mean.")
    kept = rename(kept, {rf"upsample\.{wanted}\.": "upsample."}) if wanted else kept
    channels = state["entry.weight"].shape[0]
    arguments = {
        "scale": ShuffleUpsampler.scale_of(kept, "upsample.", channels),
        "channels": channels,
        "groups": channels // state["b1.b1.body.0.weight"].shape[1],
    }
    return Recognised(arguments, {**kept, **stored_means(state, DIV2K_MEAN)})
