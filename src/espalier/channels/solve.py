"""Find out by proof which groups may be cut, alone or under a common share.

All groups are first tried at once. What fails is bisected. Groups that fail alone may be right together: the sizes of
an embedding and of its attention heads stay in proportion in code such as `reshape(b, n, heads, c // heads)`. Groups
whose cuts fail in the same module, or in modules of one type, are therefore tried under a common tie, which grows
while the failure moves on to modules of other types. Groups that are right alone but not beside others are tied to
the first of those that they contradict, all blocks of a kind at once.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import combinations

import numpy as np

from espalier.channels.groups import ChannelGroup
from espalier.channels.lowering import Frozen, Kept
from espalier.channels.proof import Verdict
from espalier.channels.ties import common_tie
from espalier.channels.units import Unit, another_cut, crowded, random_cut, units_of
from espalier.plan import PrunePlan

Check = Callable[[Kept, Frozen], tuple[Verdict, PrunePlan]]
"""Proves one cut with some attributes frozen; gives the plan that it tried as well."""


TRIALS = 150
"""How often the thorough search may cut and compare before it gives up on what is left."""


class Solver:
    """Proves the groups of one network.

    Args:
        types: type name of every module, to guess which groups and attributes belong together.
        alike: attributes that hold the same integer as others of their module.
    """

    def __init__(
        self, check: Check, rng: np.random.Generator, types: dict[str, str], alike: Frozen = frozenset()
    ) -> None:
        self.check = check
        self.rng = rng
        self.types = types
        self.alike = alike
        self.failed: dict[str, tuple[Unit, Verdict]] = {}
        self.frozen: Frozen = frozenset()
        self.trials = 0
        self.freezes = 0
        """How often a cut was tried with something more frozen."""
        self.last: dict[str, list[int]] = {}
        """What the last cut that was right has kept."""
        self.careful = False
        """Whether each trial is made twice, as some pair of channels is right to lose one but not the other."""

    def solve(self, groups: Sequence[ChannelGroup]) -> list[ChannelGroup]:
        """The groups with their status, and with new ties where only a common share is right."""
        units = units_of(g for g in groups if g.status == "unproven")
        stuck = [unit for unit in units if unit.levels < 2]
        good = self.prove([unit for unit in units if unit.levels > 1])
        good = self.once_more(good)
        return _labelled(groups, good, [*self.failed.values()], stuck)

    def once_more(self, good: list[Unit]) -> list[Unit]:
        """A second trial where one may have been right by chance: pairs of channels, sizes that could not but agree."""
        pairs = {group.name for unit in good for group in unit.groups if group.channels == 2}
        if not pairs and not crowded(good):
            return good
        self.careful = not pairs <= self.last.keys() or not self.turned(good).equal
        if self.careful and self.verdict(good) is not None:
            good = self.one_by_one(good)
        return good

    def prove(self, units: list[Unit]) -> list[Unit]:
        """The units that are right together, joined where they must be."""
        wrong = self.verdict(units)
        if wrong is None:
            return units
        if wrong.raised:
            tied = common_tie(units, wrong, self.types, self.joined_verdict, self.verdict)
            if tied is not None:
                return tied
        return self.one_by_one(units)

    def one_by_one(self, units: list[Unit]) -> list[Unit]:
        """The thorough way, where one tie does not do."""
        good = self.bisect(units)
        if self.frozen:  # what passed before an attribute was frozen must pass again
            good = self.together([], good)
        tried = -1
        while self.failed and len(self.failed) != tried:
            tried = len(self.failed)
            good = self.together([], [*self.tie(), *good])
        return good

    def verdict(self, units: Sequence[Unit]) -> Verdict | None:
        """What is wrong with cutting these units together; None if nothing."""
        self.trials += 1
        if self.trials > TRIALS:
            return Verdict(False, float("inf"), f"not proven within {TRIALS} trials")
        kept = random_cut(units, self.rng)
        found, _ = self.check(kept, self.frozen)
        if found.equal:
            self.last = kept
            found = self.turned(units) if self.careful else found
        return None if found.equal else found

    def turned(self, units: Sequence[Unit]) -> Verdict:
        """The verdict on a cut in which groups of two channels, which have one level only, lose their other channel."""
        return self.check(another_cut(units, self.rng, self.last), self.frozen)[0]

    def joined_verdict(self, units: Sequence[Unit]) -> Verdict | None:
        """As `verdict`, but freezes attributes of the failing module or of those around it while that gets further."""
        kept, before = random_cut(units, self.rng), self.frozen
        found, plan = self.check(kept, self.frozen)
        while not found.equal:
            further = self._freezing(kept, found, self._doubtful(found, plan))
            if further is None:
                break
            found, plan = further
        if found.equal:
            self.last = kept
            found = self.turned(units) if self.careful else found
        if found.equal:
            return None
        self.frozen = before
        return found

    def _doubtful(self, wrong: Verdict, plan: PrunePlan) -> list[tuple[str, str]]:
        """Attributes that may have followed, or may have stayed, by chance: of the failing module and those around it.

        Where outputs differ, nothing tells which module is wrong.
        """
        followed = {(self.types.get(r.module, ""), r.attribute) for r in plan.relinks}
        if not wrong.raised:
            return sorted(followed)
        around = {self.types.get(name, "") for name in (wrong.module, *_around(wrong.module))}
        return sorted(f for f in (followed | self.alike) - self.frozen if f[0] in around)

    def _freezing(
        self, kept: Kept, wrong: Verdict, attributes: Sequence[tuple[str, str]]
    ) -> tuple[Verdict, PrunePlan] | None:
        """Freeze one attribute, or two where several hold the same integer: those that make the cut right, else the
        first that get further.
        """
        pairs = combinations([a for a in attributes if a in self.alike], 2)
        for choices in ([(a,) for a in attributes], [pair for pair in pairs if pair[0][0] == pair[1][0]]):
            further = None
            for chosen in choices[: max(TRIALS - self.freezes, 0)]:
                self.freezes += 1
                frozen = self.frozen.union(chosen)
                found, plan = self.check(kept, frozen)
                if found.equal:
                    self.frozen = frozen
                    return found, plan
                if further is None and wrong.raised and self._moved(wrong, found):
                    further = frozen, found, plan
            if further is not None:
                self.frozen = further[0]
                return further[1:]
        return None

    def _moved(self, wrong: Verdict, found: Verdict) -> bool:
        """Whether a failure has moved on to a module of another type."""
        return bool(found.module) and self.types.get(found.module) != self.types.get(wrong.module)

    def bisect(self, units: Sequence[Unit]) -> list[Unit]:
        """The units that pass."""
        if not units:
            return []
        wrong = self.verdict(units)
        if wrong is None:
            return list(units)
        if len(units) == 1:
            wrong = self.joined_verdict(units)
            if wrong is None:
                return list(units)
            self.failed[units[0].groups[0].name] = (units[0], wrong)
            return []
        middle = len(units) // 2
        return self.bisect(units[:middle]) + self.bisect(units[middle:])

    def tie(self) -> list[Unit]:
        """Common ties that make failed units right; the units leave `failed`."""
        found = []
        for by_type in (False, True):
            for unit, wrong in [*self.failed.values()]:
                if unit.groups[0].name in self.failed and wrong.module:
                    joined = self._grown([unit], wrong, by_type)
                    if joined is not None:
                        found.append(joined)
        return found

    def _grown(self, cluster: list[Unit], wrong: Verdict, by_type: bool) -> Unit | None:
        """Join the failed units that fail where this cluster does, until nothing fails or nobody joins."""
        while True:
            place = self._place(wrong, by_type)
            fresh = [
                unit
                for unit, v in self.failed.values()
                if unit not in cluster and (self._place(v, by_type) == place or _inside(unit, wrong.module))
            ]
            if not fresh:
                return None
            cluster = [*cluster, *fresh]
            joined = cluster[0].joined(cluster[1:])
            verdict = self.joined_verdict([joined]) if joined.levels > 1 else wrong
            if verdict is None:
                for unit in cluster:
                    del self.failed[unit.groups[0].name]
                return joined
            wrong = verdict

    def _place(self, wrong: Verdict, by_type: bool) -> str:
        return self.types.get(wrong.module, "") if by_type else wrong.module

    def together(self, good: list[Unit], more: list[Unit]) -> list[Unit]:
        """`good`, and those of `more` that are right beside it, tied where they must be."""
        pending = [u for u in more if not any(u.groups[0].name == g.name for k in good for g in k.groups)]
        if not pending or self.verdict([*good, *pending]) is None:
            return [*good, *pending]
        if len(pending) > 1:
            middle = len(pending) // 2
            return self.together(self.together(good, pending[:middle]), pending[middle:])
        return self._reconciled(good, pending[0])

    def _reconciled(self, good: list[Unit], unit: Unit) -> list[Unit]:
        """Tie a unit to the first of `good` that it contradicts."""
        wrong = self.verdict([unit])
        for k, partner in enumerate(good if wrong is None else []):
            wrong = self.verdict([partner, unit])
            if wrong is not None:
                joined = partner.joined([unit])
                rest = [*good[:k], *good[k + 1 :]]
                if joined.levels > 1 and self.verdict([*rest, joined]) is None:
                    return [joined, *rest]
                break
        reason = f"only without other groups: {wrong.reason if wrong else 'the network fails'}"
        verdict = wrong or Verdict(False, float("inf"))
        self.failed[unit.groups[0].name] = (unit, replace(verdict, reason=reason))
        return good


def _around(module: str) -> list[str]:
    """Names of the modules that hold this one."""
    parts = module.split(".")
    return ["", *(".".join(parts[:k]) for k in range(1, len(parts)))]


def _inside(unit: Unit, module: str) -> bool:
    """Whether a unit touches a tensor of the module."""
    return any(member.tensor.startswith(module + ".") for group in unit.groups for member in group.members)


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
