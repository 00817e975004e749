"""FSRCNN (Dong et al., ECCV 2016, figure 3): extract, shrink, map, expand, deconvolve; on Y."""

from collections.abc import Mapping

from torch import Tensor, nn

from espalier.errors import NetworkError
from espalier.networks.layers import conv3
from espalier.networks.network import Adapter
from espalier.networks.recognise import Recognised, has


class FSRCNN(nn.Module):
    """FSRCNN(d, s, m) of the paper is channels=d, shrunk=s, layers=m."""

    def __init__(self, *, scale: int = 2, channels: int = 56, shrunk: int = 12, layers: int = 4) -> None:
        super().__init__()
        self.first_part = nn.Sequential(nn.Conv2d(1, channels, 5, padding=2), nn.PReLU(channels))
        middle: list[nn.Module] = [nn.Conv2d(channels, shrunk, 1), nn.PReLU(shrunk)]
        for _ in range(layers):
            middle += [conv3(shrunk, shrunk), nn.PReLU(shrunk)]
        middle += [nn.Conv2d(shrunk, channels, 1), nn.PReLU(channels)]
        self.mid_part = nn.Sequential(*middle)
        self.last_part = nn.ConvTranspose2d(channels, 1, 9, stride=scale, padding=4, output_padding=scale - 1)

    def forward(self, x: Tensor) -> Tensor:
        return self.last_part(self.mid_part(self.first_part(x)))


NETWORK = FSRCNN


def adapter(arguments: Mapping[str, object]) -> Adapter:  # noqa: ARG001
    return Adapter(luma=True)


def recognise(state: Mapping[str, Tensor], scale: int | None = None) -> Recognised | None:
    """Keys first_part.0, mid_part.0, last_part.

    Raises:
        NetworkError: no scale is known; the deconvolution is a 9x9 kernel at every scale.
    """
    if not has(state, "first_part.0.weight", "mid_part.0.weight", "last_part.weight"):
        return None
    if scale is None:
        raise NetworkError(
            "this is an FSRCNN, whose tensors look alike at every scale; say which with scale=2, 3 or 4, "
            "or put x2, x3 or x4 into the file's name"
        )
    convolutions = sum(
        1 for name, tensor in state.items() if name.startswith("mid_part.") and tensor.ndim == 4
    )
    shrunk, channels = state["mid_part.0.weight"].shape[:2]
    return Recognised(
        {"scale": scale, "channels": channels, "shrunk": shrunk, "layers": convolutions - 2}, state
    )
