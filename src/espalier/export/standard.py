"""A network as it is exported: the whole convention, in operators whose sizes may stay open."""

import torch
from torch import Tensor, nn

from espalier.images.color import rgb_to_y
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
        return network.decode(network.body(encode(network, x)), x)


def encode(network: Network, x: Tensor) -> Tensor:
    """What the body is fed, as `Network.encode`, without a branch on the size."""
    adapter = network.adapter
    if adapter.enlarged:
        x = enlarge(x, network.scale)
    if adapter.luma:
        x = rgb_to_y(x) / 255
    x = padded(x, adapter)
    return x * adapter.range if adapter.range != 1 else x.clone()


def padded(x: Tensor, adapter: Adapter) -> Tensor:
    """Pad right and bottom by reflection, to the sizes that the network takes."""
    if adapter.multiple_of == 1 and adapter.minimum == 1 and not adapter.square:
        return x
    sizes = [-(-max(x.shape[dim], adapter.minimum) // adapter.multiple_of) for dim in (2, 3)]
    if adapter.square:
        sizes = [max(sizes)] * 2
    for dim, count in zip((2, 3), sizes):
        x = _reflected(x, dim, count * adapter.multiple_of)
    return x


def _reflected(x: Tensor, dim: int, length: int) -> Tensor:
    last = x.shape[dim] - 1
    place = torch.arange(length, device=x.device)
    return x.index_select(dim, (last - (last - place).abs()).clamp(min=0))
