"""Tensors put side by side, each between two convolutions: what is grouped, what is pinned."""

from typing import Any

import torch
from torch import Tensor, nn

from espalier.channels import analyse, sample_inputs
from tests.channels.micro import between, positions


def test_cat_puts_channels_side_by_side() -> None:
    channels = between(lambda _, x: torch.cat([x, x.relu()], 1), out=16)
    assert positions(channels, "head.weight", "tail.weight", 1) == [[c, c + 8] for c in range(8)]


def test_cat_beside_the_image_keeps_the_image_whole() -> None:
    class Network(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.head = nn.Conv2d(3, 8, 3, padding=1)
            self.tail = nn.Conv2d(11, 3, 3, padding=1)

        def forward(self, x: Tensor) -> Tensor:
            return self.tail(torch.cat([x, self.head(x)], 1))

    channels = analyse(Network(), sample_inputs(3, 6, 8))
    assert positions(channels, "head.weight", "tail.weight", 1) == [[c + 3] for c in range(8)]


def test_scattered_values_keep_their_channels() -> None:
    def middle(_: Any, x: Tensor) -> Tensor:
        tokens = x.flatten(2).transpose(1, 2)
        order = tokens.mean(-1).argsort(dim=1).unsqueeze(-1).expand(-1, -1, tokens.shape[-1])
        sorted_tokens = tokens.gather(1, order)
        return torch.zeros_like(tokens).scatter(1, order, sorted_tokens).transpose(1, 2).reshape(x.shape)

    assert between(middle).group("head.weight").proven
