import pytest
import torch
from torch import Tensor, nn

from espalier.errors import NetworkError
from espalier.export.target import Exported, Request
from espalier.export.trace import OPEN, program, standard
from tests import zoo
from tests.evaluation.networks import Convolutions, network


class Windows(nn.Module):
    """Cuts the image into a number of windows that it takes for a constant."""

    def forward(self, x: Tensor) -> Tensor:
        rows = sum(1 for _ in range(x.shape[2] // 8))
        return x.reshape(x.shape[0], 3, rows, -1).reshape(x.shape) * 1.0


class Alone(nn.Module):
    """Takes one image at a time."""

    def forward(self, x: Tensor) -> Tensor:
        return x.reshape(1, 3, x.shape[2], x.shape[3]) * 0.5


class Dependent(nn.Module):
    """Branches on what the image shows."""

    def forward(self, x: Tensor) -> Tensor:
        return x * 2.0 if bool(x.mean() > 0.5) else x * 3.0


def test_convolutions_leave_everything_open() -> None:
    traced, exported = program(network(Convolutions()), Request())
    assert exported == Exported(None)
    assert traced.module()(torch.rand(3, 3, 19, 31)).shape == (3, 3, 38, 62)


def test_what_cannot_be_left_open_is_fixed_and_said() -> None:
    traced, exported = program(network(Windows(), scale=1), Request())
    assert exported.size == OPEN
    assert "could not be left open" in exported.note
    assert traced.module()(torch.rand(1, 3, *OPEN)).shape == (1, 3, *OPEN)


def test_one_image_at_a_time_is_said() -> None:
    assert program(network(Alone(), scale=1), Request())[1] == Exported(None, "it takes one image at a time")


def test_what_cannot_be_traced_is_an_error() -> None:
    with pytest.raises(NetworkError, match="tiny cannot be traced"):
        program(network(Dependent(), scale=1), Request())


def test_experts_that_the_image_chooses_are_traced_as_they_are_trained() -> None:
    net = zoo.network(zoo.find("SeemoRe"))
    x = torch.rand(1, 3, 20, 24)
    with torch.no_grad():
        assert (standard(net)(x) - net(x)).abs().max() < 1e-6
