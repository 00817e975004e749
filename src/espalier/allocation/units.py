"""The units that an allocation decides about."""

from collections.abc import Iterable, Mapping, Sequence
from fnmatch import fnmatchcase

import numpy as np

from espalier.channels import ChannelGroup, Unit, units_of


def units(groups: Iterable[ChannelGroup], protect: Sequence[str] = ()) -> list[Unit]:
    """The proven groups by ties, without those that touch a tensor whose name matches a pattern of `protect`."""
    return [
        unit
        for unit in units_of(groups)
        if all(group.proven and not _protected(group, protect) for group in unit.groups)
    ]


def _protected(group: ChannelGroup, patterns: Sequence[str]) -> bool:
    return any(fnmatchcase(member.tensor, pattern) for member in group.members for pattern in patterns)


def ranked(unit: Unit, scores: Mapping[str, np.ndarray]) -> np.ndarray:
    """What each level of a unit is worth, from the lowest up: scores brought to mean one, averaged over its groups."""
    rows = []
    for group in unit.groups:
        values = np.sort(scores[group.name])
        by_level = values.reshape(unit.levels, -1).mean(1)
        rows.append(by_level / max(values.mean(), np.finfo(float).tiny))
    return np.mean(rows, axis=0)
