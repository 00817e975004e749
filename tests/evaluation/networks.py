"""Small networks behind the common convention whose answers are known."""

from itertools import pairwise

import torch
from torch import Tensor, nn

from espalier.images.resize import enlarge
from espalier.networks.network import Adapter, Base, Network


def network(body: nn.Module, scale: int = 2, **adapter: float) -> Network:
    return Network(body, name="tiny", scale=scale, base=Base("factory", "tiny"), adapter=Adapter(**adapter))


class Bicubic(nn.Module):
    """The float bicubic enlargement plus `offset`, as a network."""

    def __init__(self, scale: int = 2, offset: float = 0.0) -> None:
        super().__init__()
        self.scale = scale
        self.offset = nn.Parameter(torch.tensor(offset))

    def forward(self, x: Tensor) -> Tensor:
        assert not self.training
        assert not torch.is_grad_enabled()
        return enlarge(x, self.scale) + self.offset


class Convolutions(nn.Sequential):
    """`depth` 3x3 convolutions and a pixel shuffle: its reach is `depth` pixels."""

    def __init__(self, depth: int = 5, scale: int = 2, width: int = 12) -> None:
        torch.manual_seed(0)
        sizes = [3, *[width] * (depth - 1), 3 * scale**2]
        layers: list[nn.Module] = []
        for fan_in, fan_out in pairwise(sizes):
            layers += [nn.Conv2d(fan_in, fan_out, 3, padding=1), nn.LeakyReLU(0.2)]
        super().__init__(*layers[:-1], nn.PixelShuffle(scale))
