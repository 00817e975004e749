"""What is decided at once: one group, or several that must keep the same share of their channels."""

import math
from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from espalier.channels.groups import ChannelGroup


@dataclass(frozen=True)
class Unit:
    """Groups whose sizes stay in proportion: at level k of `levels` each keeps k / levels of its channels."""

    groups: tuple[ChannelGroup, ...]

    @cached_property
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
    that must stay equal would be so by chance. And as few units as can be keep the same share, none that of the
    largest: sizes that must agree would agree by chance.
    """
    several = [unit for unit in units if unit.levels > 1]
    largest = max(several, key=lambda unit: len(unit.groups), default=None)
    kept: dict[str, list[int]] = {}
    forced = (unit for unit in several if unit is not largest and len(_choices(unit)) == 1)
    used = Counter({1 / unit.levels: len(several) for unit in forced})
    for unit in sorted(several, key=lambda u: u is not largest):
        level = _level(unit, used, rng)
        used[level / unit.levels] += len(several) if unit is largest else 1
        for group, count in zip(unit.groups, unit.counts(level), strict=True):
            kept[group.name] = _inner_choice(group.channels, count, rng)
    return kept


def crowded(units: Iterable[Unit]) -> bool:
    """Whether in every cut some units keep the same share."""
    counts = Counter(unit.levels for unit in units)
    return any(count > max(levels - 2, 1) for levels, count in counts.items())


def another_cut(
    units: Iterable[Unit], rng: np.random.Generator, before: dict[str, list[int]]
) -> dict[str, list[int]]:
    """A random cut in which groups of two channels lose the one that they kept `before`."""
    kept = random_cut(units, rng)
    pairs = {name for name, channels in before.items() if channels in ([0], [1])}
    groups = (group for unit in units for group in unit.groups)
    turned = {g.name: [1 - before[g.name][0]] for g in groups if g.channels == 2 and g.name in pairs}
    return kept | turned


def _level(unit: Unit, used: Counter[float], rng: np.random.Generator) -> int:
    """A random level below all, of those whose share has been used least."""
    times = np.array([used[level / unit.levels] for level in _choices(unit)])
    return int(rng.choice(np.flatnonzero(times == times.min()))) + 1


def _choices(unit: Unit) -> range:
    """The levels of random cuts: several channels go where they can."""
    return range(1, max(unit.levels - 1, 2))


def _inner_choice(channels: int, count: int, rng: np.random.Generator) -> list[int]:
    start, stop = 1, channels - 1
    if count > channels - 2:
        start = int(rng.integers(2))
        stop = start + channels - 1
    rates = 30.0 ** np.linspace(0, rng.choice([-1, 1]), stop - start)
    # whose waits end first are drawn without return, by their rates
    waits = rng.exponential(size=stop - start) / rates
    return (start + np.sort(np.argpartition(waits, count - 1)[:count])).tolist()
