"""Which groups may be turned, and that turning changes nothing but what the loss of channels costs."""

import pytest
import torch
from torch import nn

from espalier import calibration
from espalier.calibration.turning import best_basis, turned
from espalier.channels import Channels, analyse
from tests import zoo


class Stream(nn.Module):
    """A residual stream, bent only inside its block."""

    def __init__(self, bent: bool = False) -> None:
        super().__init__()
        self.head = nn.Conv2d(3, 8, 3, padding=1)
        self.first, self.second = nn.Conv2d(8, 6, 3, padding=1), nn.Conv2d(6, 8, 3, padding=1)
        self.tail = nn.Conv2d(8, 12, 3, padding=1)
        self.shuffle, self.last = nn.PixelShuffle(2), nn.Conv2d(3, 3, 1)
        self.bent = bent

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.head(x)
        x = x + self.second(self.first(x).relu())
        return self.last(self.shuffle(self.tail(x.relu() if self.bent else x)))


def stream(bent: bool = False) -> tuple[Stream, Channels, torch.Tensor]:
    torch.manual_seed(0)
    network = Stream(bent).eval()
    x = torch.rand(4, 3, 20, 24)
    return network, analyse(network, x[:1]), x


def linear(network: nn.Module, channels: Channels, x: torch.Tensor) -> set[str]:
    return {g.name for g in calibration.linear_groups(network, channels.prunable, x)}


def test_the_stream_may_be_turned_and_what_is_rectified_not() -> None:
    assert linear(*stream()) == {"head.weight", "tail.weight"}
    assert linear(*stream(bent=True)) == {"tail.weight"}


@pytest.mark.parametrize(
    ("name", "count"), [("edsr", 1), ("rnet", 0), ("imdn", 1), ("vdsr", 0), ("SwinIR", 1)]
)
def test_linear_groups_of_known_networks(name: str, count: int) -> None:
    network, channels = zoo.network(zoo.find(name)).eval(), zoo.channels(zoo.find(name))
    x = network.encode(torch.rand(1, 3, 16, 16))
    assert len(calibration.linear_groups(network.body, channels.prunable, x)) >= count
    assert (count == 0) == (not calibration.linear_groups(network.body, channels.prunable, x))


def test_turning_leaves_the_image() -> None:
    network, channels, x = stream()
    groups = calibration.linear_groups(network, channels.prunable, x)
    with torch.no_grad():
        before, weight = network(x), network.head.weight.clone()
        calibration.turn_(network, groups, calibration.observe(network, x, groups))
        torch.testing.assert_close(network(x), before, rtol=1e-4, atol=1e-5)
    assert not torch.allclose(network.head.weight, weight)


def test_the_first_channels_of_the_new_basis_cost_less() -> None:
    network, channels, x = stream()
    group = channels.group("head.weight")
    plain = calibration.damages(network, [group], calibration.observe(network, x, [group]))
    calibration.turn_(network, [group], calibration.observe(network, x, [group]))
    better = calibration.damages(network, [group], calibration.observe(network, x, [group]))
    half = group.channels // 2 - 1
    assert better[group.name].damage[half] < 0.9 * plain[group.name].damage[half]
    assert set(better[group.name].order[:2]) <= {0, 1, 2}


def test_a_stream_of_few_dimensions_is_found_out() -> None:
    network, channels, x = stream()
    with torch.no_grad():  # all of the stream lies in three directions
        network.head.weight.copy_(torch.einsum("oi,ichw->ochw", torch.randn(8, 3), network.head.weight[:3]))
        network.head.bias.zero_()
        network.second.weight.zero_()
        network.second.bias.zero_()
    group = channels.group("head.weight")
    calibration.turn_(network, [group], calibration.observe(network, x, [group]))
    damage = calibration.damages(network, [group], calibration.observe(network, x, [group]))[
        group.name
    ].damage
    assert damage[4] < 1e-3 * damage[5]


def test_a_group_that_no_layer_reads_has_no_basis() -> None:
    network, channels, _ = stream()
    group = channels.group("head.weight")
    assert best_basis(network, group, calibration.Statistics({}, {})) is None


def test_back_and_forth_is_the_same() -> None:
    network, channels, _ = stream()
    group = channels.group("head.weight")
    rotation = torch.linalg.qr(torch.randn(8, 8, dtype=torch.float64)).Q
    tensors = {name: p.detach().double() for name, p in network.named_parameters()}
    once = tensors | turned(tensors, group, rotation)
    twice = turned(once, group, rotation.T)
    assert all(torch.allclose(twice[name], tensors[name]) for name in twice)
    assert set(twice) == {m.tensor for m in group.members}
