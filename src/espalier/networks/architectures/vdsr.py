"""VDSR (Kim et al., CVPR 2016, figure 2): twenty convolutions on the Y of an enlargement, which is added."""

from collections.abc import Mapping

from torch import Tensor, nn

from espalier.networks.layers import conv3
from espalier.networks.network import Adapter
from espalier.networks.recognise import Recognised, count, has


class Layer(nn.Module):
    """A convolution without bias, and ReLU."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv = conv3(channels, channels, bias=False)
        self.relu = nn.ReLU()

    def forward(self, x: Tensor) -> Tensor:
        return self.relu(self.conv(x))


class VDSR(nn.Module):
    """The same weights serve every scale: `scale` only says how far the input is enlarged beforehand."""

    def __init__(self, *, scale: int = 4, layers: int = 18, channels: int = 64) -> None:
        super().__init__()
        self.scale = scale
        self.input = conv3(1, channels, bias=False)
        self.relu = nn.ReLU()
        self.residual_layer = nn.Sequential(*(Layer(channels) for _ in range(layers)))
        self.output = conv3(channels, 1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        return self.output(self.residual_layer(self.relu(self.input(x)))) + x


NETWORK = VDSR


def adapter(arguments: Mapping[str, object]) -> Adapter:  # noqa: ARG001
    return Adapter(luma=True, enlarged=True)


def recognise(state: Mapping[str, Tensor], scale: int | None = None) -> Recognised | None:
    """Keys input, residual_layer.0.conv, output; they do not tell the scale: 4, the largest of training."""
    if not has(state, "input.weight", "residual_layer.0.conv.weight", "output.weight"):
        return None
    layers = count(state, r"residual_layer\.(\d+)\.")
    return Recognised(
        {"scale": scale or 4, "layers": layers, "channels": state["input.weight"].shape[0]}, state
    )
