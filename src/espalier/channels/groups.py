"""From atoms to channel groups: classes of atoms that touch the same axes in the same way."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from torch import Tensor

from espalier.channels.atoms import ALIVE, Classes
from espalier.channels.labels import KERNEL
from espalier.channels.places import Member, Places, Slot
from espalier.channels.records import Trace


@dataclass(frozen=True)
class ChannelGroup:
    """Channels that may be cut one by one, each with all its slices."""

    name: str
    """Tensor and axis where the group begins, for example "body.0.conv1.weight"."""
    channels: int
    members: tuple[Member, ...]
    classes: np.ndarray
    """Class of atoms of each channel, shape (channels,)."""
    tie: int
    """Groups with the same number keep the same share of their channels."""
    status: str = "unproven"
    """unproven, exact, normalised, rigid or pinned."""
    reason: str = ""
    pattern: str = ""
    """Composite block that the group belongs to, read off the trace."""

    @property
    def proven(self) -> bool:
        return self.status in ("exact", "normalised")

    def member(self, tensor: str, dim: int) -> Member | None:
        return next((m for m in self.members if m.tensor == tensor and m.dim == dim), None)


def find_groups(trace: Trace, classes: Classes) -> tuple[ChannelGroup, ...]:
    """All groups, pinned ones included, in the order in which the network declares its tensors."""
    places = Places.of(trace, classes)
    rows, ties = _rows_of_classes(trace, classes)
    buckets: dict[tuple, list[int]] = defaultdict(list)
    for cls, signature in places.signatures():
        pinned = classes.pinned.get(cls)
        if pinned != KERNEL:
            buckets[signature, rows.get(cls, ()), pinned, cls in classes.children].append(cls)
    names: dict[str, int] = {}
    groups = []
    for (_, row, pinned, parents), members in buckets.items():
        ordered, parts = places.members(np.array(members))
        if pinned is None and _constant(parts, trace.buffers):
            pinned = "numbers that the network was built with, not channels"
        name = _unique((parts[0].tensor, parts[0].dim), names)
        groups.append(_group(name, ordered, parts, (pinned, parents), ties.get(row, -1 - len(groups))))
    return tuple(groups)


def _constant(members: tuple[Member, ...], buffers: set[str]) -> bool:
    """Whether buffers are all that makes these positions: no parameter has them on its output axis."""
    return any(m.tensor in buffers for m in members) and not any(
        m.tensor not in buffers and m.dim == 0 for m in members
    )


def _rows_of_classes(trace: Trace, classes: Classes) -> tuple[dict[int, tuple], dict[tuple, int]]:
    """The rows of rectangular grids that each class stands in, and a tie number per combination of rows."""
    keys = _standings(canonical_grids(trace.grids, classes))
    linked: dict[int, int] = {}

    def find(number: int) -> int:
        while linked.setdefault(number, number) != number:
            linked[number] = linked[linked[number]]  # shorter for the next
            number = linked[number]
        return number

    for key in set(keys.values()):
        for number, _ in key:
            linked[find(number)] = find(key[0][0])
    return keys, {key: find(key[0][0]) for key in set(keys.values())}


def _standings(grids: Sequence[np.ndarray]) -> dict[int, tuple[tuple[int, int], ...]]:
    """For each class the (grid, row) pairs where it stands, ascending."""
    found: dict[int, list[tuple[int, int]]] = defaultdict(list)
    for number, grid in enumerate(grids):
        for row, members in enumerate(grid):
            here = (number, row)
            for cls in set(members.tolist()):
                found[cls].append(here)
    return {cls: tuple(where) for cls, where in found.items()}


def canonical_grids(grids: Iterable[Tensor], classes: Classes) -> list[np.ndarray]:
    """The grids that still vary over rows and columns once atoms are united, as (rows, columns) arrays of classes."""
    seen: dict[bytes, np.ndarray] = {}
    for grid in grids:
        array = squeezed(classes.of(grid))
        if array.ndim < 2 or (array == ALIVE).any():
            continue
        table = array.reshape(-1, array.shape[-1])
        seen.setdefault(table.tobytes() + str(table.shape).encode(), table)
    return list(seen.values())


def squeezed(array: np.ndarray) -> np.ndarray:
    """The array without the dimensions along which nothing changes."""
    for dim in reversed(range(array.ndim)):
        first = array.take([0], axis=dim)
        if (array == first).all():
            array = first.squeeze(dim)
    return array


def _group(
    name: str, ordered: np.ndarray, parts: tuple[Member, ...], state: tuple[str | None, bool], tie: int
) -> ChannelGroup:
    pinned, parents = state
    status, reason = "unproven", ""
    if pinned is not None:
        status, reason = "pinned", pinned
    elif parents:
        status, reason = "pinned", "rows of other channels (such as attention heads)"
    elif len(ordered) == 1:
        alone = all(part.positions.size == 1 for part in parts)
        status, reason = "pinned", "a single channel" if alone else "all its positions go together"
    return ChannelGroup(name, len(ordered), parts, ordered, tie, status, reason)


def _unique(slot: Slot, names: dict[str, int]) -> str:
    base = slot[0] if slot[1] == 0 else f"{slot[0]}:{slot[1]}"
    names[base] = names.get(base, 0) + 1
    return base if names[base] == 1 else f"{base}#{names[base]}"
