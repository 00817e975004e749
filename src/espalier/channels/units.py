"""What is decided at once: one group, or several that must keep the same share of their channels."""

import math
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from espalier.channels.groups import ChannelGroup


@dataclass(frozen=True)
class Unit:
    """Groups whose sizes stay in proportion: at level k of `levels` each keeps k / levels of its channels."""

    groups: tuple[ChannelGroup, ...]

    @property
    def levels(self) -> int:
        """How many sizes there are: the greatest common divisor of the groups' channels."""
        return math.gcd(*(group.channels for group in self.groups))

    def counts(self, level: int) -> list[int]:
        """Channels that each group keeps at a level."""
        return [group.channels * level // self.levels for group in self.groups]

    def steps(self, round_to: int = 1) -> list[int]:
        """The levels that may stay, from all down to the fewest, at which the largest group is a round number."""
        grain = max(group.channels for group in self.groups) // self.levels
        step = round_to // math.gcd(round_to, grain)
        top = self.levels
        return [top, *range((top - 1) // step * step, 0, -step)]

    def joined(self, others: Iterable["Unit"]) -> "Unit":
        """One unit of all these groups, under one tie."""
        groups = {group.name: group for unit in (self, *others) for group in unit.groups}
        return Unit(tuple(groups.values()))


def units_of(groups: Iterable[ChannelGroup]) -> list[Unit]:
    """Groups by their ties."""
    found: dict[int, list[ChannelGroup]] = defaultdict(list)
    for group in groups:
        found[group.tie].append(group)
    return [Unit(tuple(tied)) for tied in found.values()]


def random_cut(units: Iterable[Unit], rng: np.random.Generator) -> dict[str, list[int]]:
    """Channels to keep in every unit, at least one and not all; units of one level stay whole.

    A random choice, but the first and the last channel go wherever two can: code that takes channels by fixed
    positions (x[:, 2:3], a roll) may happen to be right while those stay. One end loses more than the other: halves
    that must stay equal would be so by chance. And no unit keeps the same share as the
    largest, where it can help it: sizes that must agree would agree by chance.
    """
    kept = {}
    several = [unit for unit in units if unit.levels > 1]
    largest = max(several, key=lambda unit: len(unit.groups), default=None)
    common = _level(largest, None, rng) / largest.levels if largest else None
    for unit in several:
        if unit is largest and common is not None:
            level = round(common * unit.levels)
        else:
            level = _level(unit, common, rng)
        for group, count in zip(unit.groups, unit.counts(level), strict=True):
            kept[group.name] = _inner_choice(group.channels, count, rng)
    return kept


def another_cut(
    units: Iterable[Unit], rng: np.random.Generator, before: dict[str, list[int]]
) -> dict[str, list[int]]:
    """A random cut in which groups of two channels lose the one that they kept `before`."""
    kept = random_cut(units, rng)
    pairs = {name for name, channels in before.items() if channels in ([0], [1])}
    groups = (group for unit in units for group in unit.groups)
    turned = {g.name: [1 - before[g.name][0]] for g in groups if g.channels == 2 and g.name in pairs}
    return kept | turned


def _level(unit: Unit, share: float | None, rng: np.random.Generator) -> int:
    """A random level below all, another than `share` of them if there is one."""
    choices = [k for k in range(1, max(unit.levels - 1, 2)) if share is None or k != share * unit.levels]
    return int(rng.choice(choices or [1]))


def _inner_choice(channels: int, count: int, rng: np.random.Generator) -> list[int]:
    start, stop = (
        (1, channels - 1) if count <= channels - 2 else rng.permutation([(0, channels - 1), (1, channels)])[0]
    )
    slope = np.geomspace(1, 30, int(stop - start))[:: rng.choice([-1, 1])]
    return sorted(int(start) + rng.choice(int(stop - start), count, replace=False, p=slope / slope.sum()))
