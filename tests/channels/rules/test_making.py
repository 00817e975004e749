"""Tensors that a network makes on the way: as long as the channels, they follow a cut."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor

from tests.channels.micro import WHOLE, between, conv, summary


def written(made: Tensor, x: Tensor) -> Tensor:
    made[:, :, ::2] = x[:, :, ::2]
    made[:, :, 1::2] = x[:, :, 1::2] * 2
    return made


FOLLOW: dict[str, Callable[[Any, Tensor], Tensor]] = {
    "written into zeros": lambda _, x: written(torch.zeros(x.shape, dtype=x.dtype), x),
    "written into new_empty": lambda _, x: written(x.new_empty(x.shape), x),
    "joined to zeros": lambda n, x: n.wide(torch.cat([x, torch.zeros(x.size()).to(x)], 1)),
    "a state": lambda n, x: n.wide(torch.cat([x.new_zeros(1, n.known, 6, 8), x], 1)),
    "expanded": lambda _, x: x * x.mean(1, keepdim=True).expand_as(x).reshape(x.shape),
    "repeated": lambda _, x: x + x.mean((2, 3), keepdim=True).repeat(1, 1, 6, 8),
    "identity": lambda _, x: torch.einsum("nchw,cd->ndhw", x, torch.eye(x.shape[1]).to(x)),
}


@pytest.mark.parametrize("name", FOLLOW)
def test_what_is_made_follows_the_channels(name: str) -> None:
    children: dict[str, Any] = (
        {"wide": conv(16, 8), "known": 8} if name in ("joined to zeros", "a state") else {}
    )
    channels = between(FOLLOW[name], **children)
    assert channels.group("head.weight").proven, summary(channels)
    assert channels.group("head.weight").channels == WHOLE["head.weight"][0]


def test_random_numbers_are_never_offered() -> None:
    channels = between(lambda _, x: x + torch.randn(x.shape).to(x))
    assert not channels.prunable
