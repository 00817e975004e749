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


class Windowed(nn.Module):
    """Pads to whole windows as transformers do, by a number that depends on the size; one size is known to it."""

    window_size = 4

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 3, 3, padding=1)
        self.conv.input_resolution = (64, 64)  # type: ignore[assignment]

    def forward(self, x: Tensor) -> Tensor:
        height, width = x.shape[2:]
        below, right = (-height % 4, -width % 4)
        if below or right:
            x = nn.functional.pad(x, (0, right, 0, below), "reflect")
        if self.conv.input_resolution == x.shape[2:]:
            return self.conv(x)[:, :, :height, :width] * 1.0
        return self.conv(x)[:, :, :height, :width]


@pytest.mark.parametrize("size", [(19, 31), (64, 64), (16, 24)])
def test_windows_are_padded_to_beforehand(size: tuple[int, int]) -> None:
    net = network(Windowed(), scale=1)
    traced, exported = program(net, Request())
    assert exported.size is None
    x = torch.rand(1, 3, *size)
    with torch.no_grad():
        assert torch.equal(traced.module()(x), net(x))


class Shifting(Windowed):
    """Pads at the other side, so that padding beforehand gives another image."""

    def forward(self, x: Tensor) -> Tensor:
        height, width = x.shape[2:]
        x = nn.functional.pad(x, (-width % 4, 0, -height % 4, 0), "reflect")
        return self.conv(x)[:, :, -height:, -width:]


def test_what_padding_beforehand_would_change_is_not_padded() -> None:
    net = network(Shifting(), scale=1)
    traced, exported = program(net, Request())
    x = torch.rand(1, 3, *(exported.size or (19, 31)))
    with torch.no_grad():
        assert torch.equal(traced.module()(x), net(x))
