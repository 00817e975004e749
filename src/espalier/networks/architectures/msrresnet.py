"""MSRResNet, BasicSR's SRResNet (Ledig et al., CVPR 2017, as changed by ESRGAN's authors): no BatchNorm."""

from collections.abc import Mapping

from torch import Tensor, nn
from torch.nn import functional

from espalier.networks.layers import conv3, shuffle_factors
from espalier.networks.recognise import Recognised, count, has


class ResidualBlock(nn.Module):
    """Convolution, ReLU, convolution, the input added."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv1 = conv3(channels, channels)
        self.relu = nn.ReLU()
        self.conv2 = conv3(channels, channels)

    def forward(self, x: Tensor) -> Tensor:
        return x + self.conv2(self.relu(self.conv1(x)))


class MSRResNet(nn.Module):
    """Residual blocks, pixel shuffles, two convolutions; the bilinear enlargement of the input added."""

    def __init__(self, *, scale: int = 4, blocks: int = 16, channels: int = 64) -> None:
        super().__init__()
        self.scale = scale
        self.conv_first = conv3(3, channels)
        self.body = nn.Sequential(*(ResidualBlock(channels) for _ in range(blocks)))
        for number, step in enumerate(shuffle_factors(scale), start=1):
            setattr(self, f"upconv{number}", conv3(channels, step * step * channels))
        self.conv_hr = conv3(channels, channels)
        self.conv_last = conv3(channels, 3)
        self.act = nn.LeakyReLU(0.1)

    def forward(self, x: Tensor) -> Tensor:
        out = self.body(self.act(self.conv_first(x)))
        for number, step in enumerate(shuffle_factors(self.scale), start=1):
            out = self.act(functional.pixel_shuffle(getattr(self, f"upconv{number}")(out), step))
        out = self.conv_last(self.act(self.conv_hr(out)))
        return out + functional.interpolate(
            x, scale_factor=float(self.scale), mode="bilinear", align_corners=False
        )


NETWORK = MSRResNet


def recognise(state: Mapping[str, Tensor], scale: int | None = None) -> Recognised | None:  # noqa: ARG001
    """Keys conv_first, body.0.conv1, upconv1, conv_hr, conv_last."""
    if not has(state, "conv_first.weight", "body.0.conv1.weight", "upconv1.weight", "conv_hr.weight"):
        return None
    channels = state["conv_first.weight"].shape[0]
    tripled = state["upconv1.weight"].shape[0] == 9 * channels
    arguments = {
        "scale": 3 if tripled else 2 ** count(state, r"upconv(\d)\.weight"),
        "blocks": count(state, r"body\.(\d+)\."),
        "channels": channels,
    }
    return Recognised(arguments, state)
