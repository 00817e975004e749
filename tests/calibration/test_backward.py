"""Gradients through code that writes in place."""

import contextlib

import torch
from torch import Tensor, nn

from espalier.calibration.backward import recording
from espalier.networks.network import first


class Partial(nn.Module):
    """A partial convolution, written into its input or beside it."""

    def __init__(self, *, in_place: bool) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.conv, self.last, self.in_place = nn.Conv2d(2, 2, 3, padding=1), nn.Conv2d(4, 3, 1), in_place

    def forward(self, x: Tensor) -> Tensor:
        x = torch.cat([x, x[:, :1]], 1)
        if self.in_place:
            x[:, :2] = self.conv(x[:, :2]).sigmoid()
        else:
            x = torch.cat([self.conv(x[:, :2]).sigmoid(), x[:, 2:]], 1)
        return self.last(x)


def gradient(network: Partial, x: Tensor) -> Tensor:
    with recording(network, x)():
        leaf = x.clone().requires_grad_()
        network(leaf).square().sum().backward()
    assert leaf.grad is not None
    weight = network.conv.weight.grad
    assert weight is not None
    return torch.cat([leaf.grad.flatten(), weight.flatten()])


def test_writing_in_place_gives_the_same_gradients() -> None:
    x = torch.rand(1, 3, 6, 8)
    ours, plain = (gradient(Partial(in_place=where), x) for where in (True, False))
    torch.testing.assert_close(ours, plain)


def test_copies_are_kept_only_where_they_are_needed() -> None:
    x = torch.rand(1, 3, 6, 8)
    assert recording(Partial(in_place=False), x) is contextlib.nullcontext
    assert recording(Partial(in_place=True), x) is not contextlib.nullcontext


def test_trying_leaves_no_gradient() -> None:
    network = Partial(in_place=False)
    recording(network, torch.rand(1, 3, 6, 8))
    assert all(p.grad is None for p in network.parameters())


def test_the_first_of_several_outputs_is_the_image() -> None:
    image = torch.zeros(1)
    assert first(image) is image
    assert first((image, torch.ones(1))) is image
