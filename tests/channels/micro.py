"""Micro-networks: one operation between two convolutions, so that each rule is seen alone."""

from collections.abc import Callable
from typing import Any

from torch import Tensor, nn

from espalier.channels import Channels, analyse, sample_inputs, units_of
from tests import zoo

WHOLE = {"head.weight": (8, "exact")}
"""Eight channels that go one by one."""


class Between(nn.Module):
    """`head` makes `width` channels of a colour image, `middle(network, x)` changes them."""

    def __init__(
        self,
        middle: Callable[[Any, Tensor], Tensor],
        *,
        width: int = 8,
        out: int | None = None,
        **children: nn.Module | nn.Parameter,
    ) -> None:
        super().__init__()
        self.head = nn.Conv2d(3, width, 3, padding=1)
        for name, child in children.items():
            setattr(self, name, child)
        self.tail = nn.Conv2d(width if out is None else out, 3, 3, padding=1)
        self.middle = middle

    def forward(self, x: Tensor) -> Tensor:
        return self.tail(self.middle(self, self.head(x)))


def between(
    middle: Callable[[Any, Tensor], Tensor], *, size: tuple[int, int] = (6, 8), **arguments: Any
) -> Channels:
    return analyse(Between(middle, **arguments).double(), sample_inputs(3, *size).double())


def summary(channels: Channels) -> dict[str, tuple[int, str]]:
    """Group -> channels and status, without the image's own groups."""
    return {g.name: (g.channels, g.status) for g in channels.groups if not _of_image(g.name)}


def _of_image(name: str) -> bool:
    return name.startswith("head.weight:1") or name in ("tail.weight", "tail.bias")


def positions(channels: Channels, group: str, tensor: str, dim: int) -> list[list[int]]:
    """Which slices of a tensor each channel of a group owns."""
    member = channels.group(group).member(tensor, dim)
    assert member is not None
    return member.positions.tolist()


def plain(channels: int = 8) -> list[list[int]]:
    return [[c] for c in range(channels)]


def conv(inputs: int, outputs: int, **more: Any) -> nn.Conv2d:
    return nn.Conv2d(inputs, outputs, 3, padding=1, **more)


def assert_never_wrong(channels: Channels) -> None:
    for seed in range(4):
        for unit in units_of(channels.prunable):
            assert channels.check(zoo.any_cut([unit], seed)).reason == ""
