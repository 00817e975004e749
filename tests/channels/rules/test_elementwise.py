"""What meets position by position, each between two convolutions: what is grouped, what is pinned."""

import torch
from torch import nn
from torch.nn import functional

from tests.channels.micro import WHOLE, between, conv, plain, positions, summary


def test_scales_and_plain_parameters_follow_their_channels() -> None:
    scale = nn.Parameter(torch.ones(1, 8, 1, 1))
    channels = between(lambda n, x: x * n.scale + x, scale=scale)
    assert positions(channels, "scale:1", "head.weight", 0) == plain()


def test_residual_streams_tie_their_writers() -> None:
    channels = between(lambda n, x: x + n.conv(x.relu()), conv=conv(8, 8))
    assert summary(channels) == WHOLE
    assert positions(channels, "head.weight", "conv.weight", 0) == plain()


def test_the_halves_of_a_gated_unit_go_together() -> None:
    channels = between(lambda n, x: functional.glu(n.wide(x), dim=1), out=6, wide=conv(8, 12))
    assert summary(channels)["wide.weight"] == (6, "exact")
    assert positions(channels, "wide.weight", "wide.weight", 0)[1] == [1, 7]
