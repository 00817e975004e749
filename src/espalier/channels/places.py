"""Where each class of atoms stands in the network's tensors."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from espalier.channels.atoms import Classes
from espalier.channels.records import Trace

Slot = tuple[str, int]
"""Tensor name and axis."""


@dataclass(frozen=True)
class Member:
    """The slices of one axis of one tensor that belong to a group: `positions[c]` goes with channel c."""

    tensor: str
    dim: int
    positions: np.ndarray
    """Shape (channels, slices per channel)."""


@dataclass(frozen=True)
class Places:
    """All positions of all axes, sorted by class and slot; a *run* is the positions of one class in one slot."""

    slots: list[Slot]
    positions: np.ndarray
    start: np.ndarray
    """Where each run begins in `positions`, and the end of the last."""
    slot: np.ndarray
    """Slot of each run."""
    classes: np.ndarray
    """The classes, in the order in which the network declares them first."""
    first: dict[int, int]
    """First run of each class."""
    count: dict[int, int]
    """How many runs each class has."""

    @staticmethod
    def of(trace: Trace, classes: Classes) -> "Places":
        axes = [
            ((name, dim), classes.of(atoms))
            for name, tensor in trace.owners.items()
            for dim, atoms in enumerate(tensor)
            if atoms is not None
        ]
        ids = np.concatenate([array for _, array in axes]) if axes else np.empty(0, dtype=np.int64)
        slot = np.repeat(np.arange(len(axes)), [len(array) for _, array in axes])
        positions = [np.arange(len(array)) for _, array in axes]
        order = np.lexsort((slot, ids))  # stable: positions stay ascending
        ids_by, slot_by = ids[order], slot[order]
        new = np.ones(len(ids), dtype=bool)
        new[1:] = (ids_by[1:] != ids_by[:-1]) | (slot_by[1:] != slot_by[:-1])
        start = np.append(np.flatnonzero(new), len(ids))
        found, where, count = np.unique(ids_by[new], return_index=True, return_counts=True)
        _, declared = np.unique(ids, return_index=True)
        return Places(
            [key for key, _ in axes],
            np.concatenate(positions)[order] if axes else ids,
            start,
            slot_by[new],
            found[np.argsort(declared)],
            dict(zip(found.tolist(), where.tolist(), strict=True)),
            dict(zip(found.tolist(), count.tolist(), strict=True)),
        )

    def signatures(self) -> Iterator[tuple[int, bytes]]:
        """Each class with its slots and how many positions it has in each."""
        runs = np.stack([self.slot, np.diff(self.start)], axis=1)
        for cls in self.classes.tolist():
            begin = self.first[cls]
            yield cls, runs[begin : begin + self.count[cls]].tobytes()

    def members(self, classes: np.ndarray) -> tuple[np.ndarray, tuple[Member, ...]]:
        """Classes of one signature in the order of their first positions, and their members."""
        begin = np.array([self.first[cls] for cls in classes.tolist()])
        order = np.argsort(self.positions[self.start[begin]], kind="stable")
        begin = begin[order]
        members = []
        for run in range(self.count[int(classes[0])]):
            start = self.start[begin + run]
            length = self.start[begin[0] + run + 1] - start[0]
            tensor, dim = self.slots[self.slot[begin[0] + run]]
            members.append(Member(tensor, dim, self.positions[start[:, None] + np.arange(length)]))
        return classes[order], tuple(members)
