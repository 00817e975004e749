"""A network as it is exported: the whole convention, in operators whose sizes may stay open."""

import torch
from torch import Tensor, nn

from espalier.images.resize import enlarge
from espalier.networks.network import Adapter, Network


class Standard(nn.Module):
    """RGB in 0..1 in and out, as the network itself but for two things.

    Those fed a bicubic enlargement get one that is not rounded to bytes: rounding would turn the noise of
    another runtime into whole grey levels. Images of less than half the least size are padded by reflection
    as far as they go, not by repetition alone.
    """

    def __init__(self, network: Network) -> None:
        super().__init__()
        self.network = network

    def forward(self, x: Tensor) -> Tensor:
        network = self.network
        native = network.body(network.feed(x, enlarge, padded))
        if network.adapter.multiple_of > 1:
            native = _cropped(native, x.shape[2] * network.scale, x.shape[3] * network.scale)
        return network.decode(native, x)


def padded(x: Tensor, adapter: Adapter) -> Tensor:
    """Pad right and bottom by reflection, to a size that fits, without a branch on the size."""
    for dim, length in zip((2, 3), adapter.fitting(x.shape[2], x.shape[3])):
        x = _reflected(x, dim, length)
    return x


def _reflected(x: Tensor, dim: int, length: int) -> Tensor:
    last = x.shape[dim] - 1
    place = torch.arange(length, device=x.device)
    return x.index_select(dim, (last - (last - place).abs()).clamp(min=0))


def _cropped(native: Tensor | tuple[Tensor, ...], height: int, width: int) -> Tensor:
    """A copy: whether a view is contiguous would depend on the size."""
    image = native[0] if isinstance(native, tuple | list) else native
    rows, columns = (torch.arange(length, device=image.device) for length in (height, width))
    return image.index_select(2, rows).index_select(3, columns)
