"""Tiny networks whose costs can be worked out by hand."""

import torch
from torch import Tensor, nn

from espalier.networks.network import Adapter, Base, Network


class Plain(nn.Module):
    """Two convolutions and a pixel shuffle."""

    def __init__(self, scale: int = 2, width: int = 8) -> None:
        super().__init__()
        self.first = nn.Conv2d(3, width, 3, padding=1)
        self.last = nn.Conv2d(width, 3 * scale**2, 3, padding=1, bias=False)
        self.shuffle = nn.PixelShuffle(scale)

    def forward(self, x: Tensor) -> Tensor:
        return self.shuffle(self.last(torch.relu(self.first(x))))


class Deciding(Plain):
    """Looks at values, so that it cannot run without them."""

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x if x.mean() > 0 else -x)


def network(body: nn.Module, scale: int = 2, adapter: Adapter | None = None) -> Network:
    return Network(body, name="tiny", scale=scale, base=Base("factory", "tiny"), adapter=adapter)
