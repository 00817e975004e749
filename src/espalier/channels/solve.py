"""Find out by proof which groups may be cut, alone or under a common share.

All groups are first tried at once. What fails is bisected. Groups that fail alone may be right together: the sizes of
an embedding and of its attention heads stay in proportion in code such as `reshape(b, n, heads, c // heads)`. Groups
whose cuts fail in the same module, or in modules of one type, are therefore tried under a common tie.
"""

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

import numpy as np

from espalier.channels.groups import ChannelGroup
from espalier.channels.lowering import Kept
from espalier.channels.proof import Verdict
from espalier.channels.units import Unit, random_cut, units_of

Check = Callable[[Kept], Verdict]


def solve(
    groups: Sequence[ChannelGroup], check: Check, rng: np.random.Generator, types: Mapping[str, str]
) -> list[ChannelGroup]:
    """The groups with their status, and with new ties where only a common share is right.

    Args:
        types: type name of every module, to guess which groups belong together.
    """
    units = units_of(g for g in groups if g.status == "unproven")
    stuck = [unit for unit in units if unit.levels < 2]
    solver = _Solver(check, rng, types)
    good = solver.bisect([unit for unit in units if unit.levels > 1])
    good = solver.tie(good)
    if solver.failed and good and solver.verdict(good):  # each alone is right, together they are not
        good = solver.grow(good)
    return _labelled(groups, good, [*solver.failed.values()], stuck)


class _Solver:
    def __init__(self, check: Check, rng: np.random.Generator, types: Mapping[str, str]) -> None:
        self.check = check
        self.rng = rng
        self.types = types
        self.failed: dict[str, tuple[Unit, Verdict]] = {}

    def verdict(self, units: Sequence[Unit]) -> Verdict | None:
        """What is wrong with cutting these units together; None if nothing."""
        found = self.check(random_cut(units, self.rng))
        return None if found.equal else found

    def bisect(self, units: Sequence[Unit]) -> list[Unit]:
        """The units that pass."""
        if not units:
            return []
        wrong = self.verdict(units)
        if wrong is None:
            return list(units)
        if len(units) == 1:
            self.failed[units[0].groups[0].name] = (units[0], wrong)
            return []
        middle = len(units) // 2
        return self.bisect(units[:middle]) + self.bisect(units[middle:])

    def tie(self, good: list[Unit]) -> list[Unit]:
        """Try the failed units under common ties, first per module, then per type of module."""
        for key in (lambda v: v.module, lambda v: self.types.get(v.module, "")):
            clusters: dict[str, list[Unit]] = defaultdict(list)
            for unit, wrong in self.failed.values():
                if wrong.module:
                    clusters[key(wrong)].append(unit)
            for cluster in clusters.values():
                joined = cluster[0].joined(cluster[1:])
                if len(cluster) > 1 and joined.levels > 1 and self.verdict([joined]) is None:
                    good = [*good, joined]
                    for unit in cluster:
                        del self.failed[unit.groups[0].name]
        return good

    def grow(self, units: list[Unit]) -> list[Unit]:
        good: list[Unit] = []
        for unit in units:
            wrong = self.verdict([*good, unit])
            if wrong is None:
                good.append(unit)
            else:
                reason = f"only without other groups: {wrong.reason}"
                self.failed[unit.groups[0].name] = (unit, replace(wrong, reason=reason))
        return good


def _labelled(
    groups: Sequence[ChannelGroup],
    good: Sequence[Unit],
    failed: Sequence[tuple[Unit, Verdict]],
    stuck: Sequence[Unit],
) -> list[ChannelGroup]:
    ties = {group.name: unit.groups[0].tie for unit in good for group in unit.groups}
    reasons = {group.name: wrong.reason for unit, wrong in failed for group in unit.groups}
    reasons |= {group.name: "tied to a group of another size" for unit in stuck for group in unit.groups}
    result = []
    for group in groups:
        if group.name in ties:
            group = replace(group, status="exact", tie=ties[group.name])
        elif group.name in reasons:
            group = replace(group, status="rigid", reason=reasons[group.name])
        result.append(group)
    return result
