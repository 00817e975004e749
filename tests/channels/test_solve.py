"""What the proof must find out by trying."""

import pytest
import torch
from torch import Tensor, nn

from espalier.channels import analyse, sample_inputs
from espalier.channels.units import crowded, units_of
from tests.channels.micro import conv


class Hidden(nn.Module):
    """Reads the first of two channels where no trace sees it: right when the second goes, wrong when it goes."""

    def __init__(self) -> None:
        super().__init__()
        self.pair, self.inner, self.tail = conv(3, 2), conv(2, 8), conv(8, 3)

    def forward(self, x: Tensor) -> Tensor:
        y = self.pair(x)
        return self.tail(self.inner(y).relu()) + float(y.numpy()[0, 0].mean())


@pytest.mark.parametrize("seed", range(6))
def test_both_channels_of_a_pair_are_tried(seed: int) -> None:
    torch.manual_seed(0)
    status = {g.name: g.status for g in analyse(Hidden(), sample_inputs(3, 8, 8), seed=seed).groups}
    assert (status["pair.weight"], status["inner.weight"]) == ("rigid", "exact")


class SameSize(nn.Module):
    """Takes the size of one tensor for that of another, in the network's own forward."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.left, self.right, self.tail = conv(3, width), conv(width, 3 * width), conv(width, 3)

    def forward(self, x: Tensor) -> Tensor:
        y = self.left(x)
        n, channels, h, w = y.shape
        return self.tail(self.right(y).view(n, channels, 3, h, w).sum(2))


@pytest.mark.parametrize("seed", range(8))
def test_sizes_that_must_agree_are_tied_and_not_right_by_chance(seed: int) -> None:
    channels = analyse(SameSize(6), sample_inputs(3, 8, 8), seed=seed)
    ties = {g.name: g.tie for g in channels.prunable}
    assert ties["left.weight"] == ties["right.weight"]


def test_a_network_is_crowded_when_it_has_more_units_than_sizes() -> None:
    layers = [conv(3, 4), *(conv(4, 4) for _ in range(3)), conv(4, 3)]
    assert crowded(units_of(analyse(nn.Sequential(*layers), sample_inputs(3, 8, 8)).prunable))
    assert not crowded(
        units_of(analyse(nn.Sequential(*layers[:2], layers[-1]), sample_inputs(3, 8, 8)).prunable)
    )


def test_code_that_calls_forward_itself_is_relinked() -> None:
    class Part(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.kept, self.rest, self.conv = 3, 5, conv(5, 3)

        def forward(self, x: Tensor) -> Tensor:
            a, b = x.narrow(1, 0, self.kept), x.narrow(1, self.kept, self.rest)
            return torch.cat((a + self.conv(b), b), 1)

    class Whole(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.head, self.part, self.tail = conv(3, 8), Part(), conv(8, 3)

        def forward(self, x: Tensor) -> Tensor:
            return self.tail(self.part.forward(self.head(x)))

    assert sorted(g.channels for g in analyse(Whole(), sample_inputs(3, 8, 8)).prunable) == [3, 5]
