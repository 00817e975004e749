"""Decisions that keep a network in its architecture: all groups that one constructor argument moves are one unit."""

import math
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from espalier.channels import ChannelGroup, Channels
from espalier.errors import PlanError
from espalier.networks.family import Width
from espalier.plan import PrunePlan

WHOLE = "no size in the architecture's arguments"


@dataclass(frozen=True)
class Sized:
    """An argument and the groups whose channels it counts."""

    width: Width
    groups: tuple[ChannelGroup, ...]

    def value_after(self, plan: PrunePlan) -> int:
        """What the argument is once `plan` has been carried out."""
        left = {choice.group: len(choice.kept) for choice in plan.choices}
        group = self.groups[0]
        return self.width.value * left.get(group.name, group.channels) // group.channels


def sized(channels: Channels, widths: Iterable[Width]) -> list[Sized]:
    """The arguments that count channels of proven groups and nothing else; each group with one of them.

    Raises:
        PlanError: there is none; the message says what stands against each.
    """
    found: list[Sized] = []
    against = []
    taken: set[str] = set()
    for width in widths:
        moved = [group for group in channels.groups if _moves(width, group)]
        reason = _objection(width, moved, channels.groups, taken)
        if reason:
            against.append(f"{width.argument}={width.value} {reason}")
        else:
            found.append(Sized(width, tuple(moved)))
            taken |= {group.name for group in moved}
    if not found:
        raise PlanError(
            "the architecture cannot say what would be left: no argument of it counts channels that may be cut "
            f"({'; '.join(against) or 'it has no whole-number arguments'}); leave --keep-architecture out"
        )
    return found


def within(channels: Channels, sizes: Sequence[Sized]) -> Channels:
    """The same channels, where only the groups of `sizes` may be cut, those of one argument by the same share."""
    free = min((group.tie for group in channels.groups), default=0)
    ties = {group.name: free - number for number, size in enumerate(sizes, start=1) for group in size.groups}
    return replace(channels, groups=tuple(_tied(group, ties) for group in channels.groups))


def _tied(group: ChannelGroup, ties: dict[str, int]) -> ChannelGroup:
    if group.name in ties:
        return replace(group, tie=ties[group.name])
    return replace(group, status="pinned", reason=WHOLE) if group.proven else group


def _moves(width: Width, group: ChannelGroup) -> bool:
    """Whether twice the argument means twice the channels: some axis doubles, and none stays."""
    slots = [((m.tensor, m.dim), m.positions.size) for m in group.members]
    return all(slot in width.growth for slot, _ in slots) and any(width.growth[s] >= n for s, n in slots)


def _objection(
    width: Width, moved: Sequence[ChannelGroup], groups: Sequence[ChannelGroup], taken: set[str]
) -> str:
    """Why an argument is no count of channels; "" if it is."""
    if not moved:
        return "counts no channels"
    if any(group.name in taken for group in moved):
        return "counts channels that another argument counts already"
    fixed = next((group for group in moved if not group.proven), None)
    if fixed is not None:
        return f"counts {fixed.name}, which stays whole: {fixed.reason}"
    explained: Counter[tuple[str, int]] = Counter()
    for group in moved:
        for member in group.members:
            explained[member.tensor, member.dim] += member.positions.size
    owned = {(m.tensor, m.dim) for group in groups for m in group.members}
    alone = next((slot for slot, more in width.growth.items() if slot not in owned and more == 1), None)
    if alone is not None:
        return f"counts {alone[0]}, of which there is only one"
    odd = next(
        (slot for slot, more in width.growth.items() if slot in owned and explained[slot] != more), None
    )
    if odd is not None:
        return f"changes {odd[0]} out of proportion"
    if width.value % math.gcd(*(group.channels for group in moved)):
        return "is no multiple of the steps in which its channels can go"
    return ""
