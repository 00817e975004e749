"""RLFN (Kong et al., CVPRW 2022, figures 2 and 3): residual local features; images in 0..255."""

from collections.abc import Mapping

from torch import Tensor, nn

from espalier.networks.layers import SpatialAttention, conv3
from espalier.networks.network import Adapter
from espalier.networks.recognise import Recognised, count, has, shuffle_scale


class RLFB(nn.Module):
    """Three convolutions with leaky ReLU, the input added, a pointwise convolution, spatial attention."""

    def __init__(self, channels: int, mid_channels: int, attention: int) -> None:
        super().__init__()
        self.c1_r = conv3(channels, mid_channels)
        self.c2_r = conv3(mid_channels, mid_channels)
        self.c3_r = conv3(mid_channels, channels)
        self.c5 = nn.Conv2d(channels, channels, 1)
        self.esa = SpatialAttention(channels, attention, deep=False)
        self.act = nn.LeakyReLU(0.05)

    def forward(self, x: Tensor) -> Tensor:
        out = self.act(self.c1_r(x))
        out = self.act(self.c2_r(out))
        out = self.act(self.c3_r(out))
        return self.esa(self.c5(out + x))


class RLFN(nn.Module):
    """Blocks between two convolutions, a skip over all of them, pixel shuffle."""

    def __init__(
        self,
        *,
        scale: int = 4,
        blocks: int = 6,
        channels: int = 52,
        mid_channels: int | None = None,
        attention: int = 16,
    ) -> None:
        super().__init__()
        self.blocks = blocks
        self.conv_1 = conv3(3, channels)
        for index in range(blocks):
            setattr(self, f"block_{index + 1}", RLFB(channels, mid_channels or channels, attention))
        self.conv_2 = conv3(channels, channels)
        self.upsampler = nn.Sequential(conv3(channels, 3 * scale * scale), nn.PixelShuffle(scale))

    def forward(self, x: Tensor) -> Tensor:
        shallow = out = self.conv_1(x)
        for index in range(self.blocks):
            out = getattr(self, f"block_{index + 1}")(out)
        return self.upsampler(self.conv_2(out) + shallow)


NETWORK = RLFN


def adapter(arguments: Mapping[str, object]) -> Adapter:  # noqa: ARG001
    return Adapter(range=255.0, minimum=SpatialAttention.MINIMUM)


def recognise(state: Mapping[str, Tensor], scale: int | None = None) -> Recognised | None:  # noqa: ARG001
    """Keys conv_1, block_1.c1_r, block_1.esa.conv1 (without conv3_), conv_2, upsampler.0."""
    if not has(
        state, "conv_1.weight", "block_1.c3_r.weight", "block_1.esa.conv4.weight", "upsampler.0.weight"
    ):
        return None
    found = shuffle_scale(state["upsampler.0.weight"].shape[0])
    if found is None:
        return None
    mid_channels, channels = state["block_1.c1_r.weight"].shape[:2]
    arguments = {
        "scale": found,
        "blocks": count(state, r"block_(\d+)\."),
        "channels": channels,
        "mid_channels": mid_channels,
        "attention": state["block_1.esa.conv1.weight"].shape[0],
    }
    return Recognised(arguments, state)
