"""What is exported equals the network at every size."""

import pytest
import torch
from torch import nn

from espalier.export.standard import Standard, padded
from espalier.networks.network import Adapter
from tests.evaluation.networks import Convolutions, network


class Picky(nn.Module):
    """Takes only multiples of 8 of at least 24."""

    def __init__(self) -> None:
        super().__init__()
        self.inner = Convolutions(depth=2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        assert all(edge % 8 == 0 and edge >= 24 for edge in x.shape[2:])
        return self.inner(x)


@pytest.mark.parametrize("size", [(24, 32), (25, 47), (21, 40)])
@pytest.mark.parametrize("square", [False, True])
def test_padding_equals_that_of_the_network(size: tuple[int, int], square: bool) -> None:
    net = network(Picky(), multiple_of=8, minimum=24, square=square, range=255.0)
    x = torch.rand(2, 3, *size)
    with torch.no_grad():
        assert torch.equal(Standard(net)(x), net(x))


def test_padding_by_reflection_as_far_as_it_goes() -> None:
    x = torch.rand(1, 3, 5, 7)
    assert padded(x, Adapter(multiple_of=4)).shape == (1, 3, 8, 8)
    assert padded(x[..., :1, :], Adapter(minimum=8)).shape == (1, 3, 8, 8)


def test_an_enlargement_is_that_of_the_network_but_for_the_rounding() -> None:
    net = network(Convolutions(scale=1), enlarged=True)
    x = torch.rand(1, 3, 9, 11)
    with torch.no_grad():
        gap = (Standard(net)(x) - net(x)).abs().max()
    assert 0 < gap < 0.01
