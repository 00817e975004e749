"""RNet, the EDSR-like network in the code of CARN (Ahn et al., ECCV 2018): no biases in the trunk."""

from collections.abc import Mapping

from torch import Tensor, nn

from espalier.networks.layers import DIV2K_MEAN, ShuffleUpsampler, conv3, mean_shifts
from espalier.networks.recognise import Recognised, count, has, rename, stored_means, without


class Block(nn.Module):
    """Two convolutions without bias, the input added, then ReLU."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.body = nn.Sequential(
            conv3(channels, channels, bias=False), nn.ReLU(), conv3(channels, channels, bias=False)
        )
        self.act = nn.ReLU()

    def forward(self, x: Tensor) -> Tensor:
        return self.act(x + self.body(x))


class RNet(nn.Module):
    """Residual blocks between two convolutions, a skip over all of them, pixel shuffle with ReLU."""

    def __init__(self, *, scale: int = 4, blocks: int = 9, channels: int = 64) -> None:
        super().__init__()
        self.sub_mean, self.add_mean = mean_shifts(DIV2K_MEAN, 1.0)
        self.entry = conv3(3, channels, bias=False)
        self.blocks = nn.Sequential(*(Block(channels) for _ in range(blocks)))
        self.upsample = ShuffleUpsampler(channels, scale)
        self.exit = conv3(channels, 3)

    def forward(self, x: Tensor) -> Tensor:
        shallow = self.entry(self.sub_mean(x))
        return self.add_mean(self.exit(self.upsample(shallow + self.blocks(shallow))))


NETWORK = RNet


def recognise(state: Mapping[str, Tensor], scale: int | None = None) -> Recognised | None:
    """Keys entry, blocks.0.body.0, upsamplex4.body.0 (or our own upsample.body.0), exit."""
    if not has(state, "entry.weight", "blocks.0.body.0.weight", "blocks.0.body.2.weight", "exit.weight"):
        return None
    names = sorted({name.split(".")[0] for name in state if name.startswith("upsample")})
    wanted = next((name for name in names if name == f"upsamplex{scale}"), names[-1] if names else "")
    others = tuple(f"{name}." for name in names if name != wanted)
    kept = rename(without(state, *others, "sub_mean.", "add_mean."), {f"{wanted}\\.": "upsample."})
    channels = state["entry.weight"].shape[0]
    arguments = {
        "scale": ShuffleUpsampler.scale_of(kept, "upsample.", channels),
        "blocks": count(state, r"blocks\.(\d+)\."),
        "channels": channels,
    }
    return Recognised(arguments, {**kept, **stored_means(state, DIV2K_MEAN)})
