"""What is decided at once: one group, or several that must keep the same count."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase

import numpy as np

from espalier.channels import ChannelGroup


@dataclass(frozen=True)
class Unit:
    """Groups that keep equally many channels."""

    groups: tuple[ChannelGroup, ...]

    @property
    def channels(self) -> int:
        return min(group.channels for group in self.groups)

    def counts(self, round_to: int) -> list[int]:
        """The counts that may stay, from all channels down to the fewest."""
        top = self.channels
        if round_to >= top:
            return [top]
        return [top, *range((top - 1) // round_to * round_to, 0, -round_to)]


def units(groups: Iterable[ChannelGroup], protect: Sequence[str] = ()) -> list[Unit]:
    """The proven groups by ties, without those that touch a tensor whose name matches a pattern of `protect`."""
    found: dict[int, list[ChannelGroup]] = defaultdict(list)
    for group in groups:
        found[group.tie].append(group)
    return [
        Unit(tuple(tied))
        for tied in found.values()
        if all(group.proven and not _protected(group, protect) for group in tied)
    ]


def _protected(group: ChannelGroup, patterns: Sequence[str]) -> bool:
    return any(fnmatchcase(member.tensor, pattern) for member in group.members for pattern in patterns)


def ranked(unit: Unit, scores: dict[str, np.ndarray]) -> np.ndarray:
    """Scores of a unit from the lowest up, each group brought to mean one, averaged over tied groups."""
    rows = []
    for group in unit.groups:
        values = np.sort(scores[group.name])[-unit.channels :]
        rows.append(values / max(values.mean(), np.finfo(float).tiny))
    return np.mean(rows, axis=0)
