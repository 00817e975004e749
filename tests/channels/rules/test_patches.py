"""Shuffles and patches, each between two convolutions: what is grouped, what is pinned."""

from typing import Any

from torch import Tensor, nn
from torch.nn import functional

from tests.channels.micro import WHOLE, assert_never_wrong, between, conv, positions, summary


def test_pixel_shuffle_takes_a_square_of_channels_for_one() -> None:
    channels = between(lambda _, x: functional.pixel_shuffle(x, 2), out=2)
    assert summary(channels) == {"head.weight": (2, "exact")}
    assert positions(channels, "head.weight", "head.weight", 0) == [[0, 1, 2, 3], [4, 5, 6, 7]]


def test_pixel_unshuffle_makes_a_square_of_channels_of_one() -> None:
    channels = between(lambda _, x: functional.pixel_unshuffle(x, 2), out=32)
    assert summary(channels) == WHOLE
    assert positions(channels, "head.weight", "tail.weight", 1)[1] == [4, 5, 6, 7]


def test_pixel_shuffle_written_out_as_views() -> None:
    def middle(_: nn.Module, x: Tensor) -> Tensor:
        b, c, h, w = x.shape
        y = x.view(b, c // 4, 2, 2, h, w).permute(0, 1, 4, 2, 5, 3)
        return y.reshape(b, c // 4, 2 * h, 2 * w)

    channels = between(middle, out=2)
    assert summary(channels) == {"head.weight": (2, "exact")}


def test_im2col_gives_each_channel_its_patch() -> None:
    channels = between(lambda _, x: functional.unfold(x, 2).unflatten(2, (5, 7)), out=32)
    assert positions(channels, "head.weight", "tail.weight", 1)[2] == [8, 9, 10, 11]


def test_channel_shuffle_takes_the_same_channels_of_each_group() -> None:
    def middle(n: Any, x: Tensor) -> Tensor:
        b, c, h, w = x.shape
        return n.conv(x.view(b, 2, c // 2, h, w).transpose(1, 2).reshape(b, c, h, w))

    channels = between(middle, conv=conv(8, 8, groups=2))
    assert_never_wrong(channels)
    assert channels.prunable


def test_native_channel_shuffle() -> None:
    channels = between(lambda _, x: functional.channel_shuffle(x, 2))
    assert summary(channels) == {"head.weight": (4, "exact")}
    assert positions(channels, "head.weight", "head.weight", 0) == [[c, c + 4] for c in range(4)]
    assert_never_wrong(channels)
