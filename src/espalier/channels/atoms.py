"""Atoms: one integer per position of every sliceable axis, united where channels must go together.

Unions are only recorded during the trace, as pairs of arrays, and resolved once at the end.
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from torch import Tensor

ALIVE = -1
"""Marks a position that no channel owns: it can never be cut."""


@dataclass(frozen=True)
class Row:
    """An atom that lives as long as any of its children does, such as a head over its channels."""

    atom: int
    children: np.ndarray


class Atoms:
    """The record of which atoms exist, which are one, and which may not be cut."""

    def __init__(self) -> None:
        self.count = 0
        self.owned = 0
        """How many of them belong to the network's own tensors; they come first."""
        self.rows: list[Row] = []
        self.made: list[Tensor] = []
        """Atoms of tensors made on the way, in the order in which every run makes them."""
        self._left: list[np.ndarray] = []
        self._right: list[np.ndarray] = []
        self._pins: list[tuple[np.ndarray, str]] = []
        self._row_cache: dict[bytes, int] = {}
        self._row_numbers: set[int] = set()

    def new(self, count: int) -> Tensor:
        """`count` fresh atoms, shape (count,)."""
        self.count += count
        return torch.arange(self.count - count, self.count)

    def make(self, count: int) -> Tensor:
        """As `new`, for a tensor made on the way."""
        self.made.append(self.new(count))
        return self.made[-1]

    def unite(self, left: Tensor, right: Tensor, reason: str) -> None:
        """Make the atoms at equal (broadcast) positions one; an atom that meets `ALIVE` is pinned."""
        if left is right:
            return
        a, b = left.numpy(), right.numpy()
        differ = a != b
        if not differ.any():
            return
        a, b = (_spread(array, differ.shape)[differ] for array in (a, b))
        lonely = (a < 0) | (b < 0)
        if lonely.any():
            self._pins.append((np.maximum(a, b)[lonely], reason))
            a, b = a[~lonely], b[~lonely]
        self._left.append(a)
        self._right.append(b)

    def pin(self, atoms: Tensor, reason: str) -> None:
        """Forbid cutting these atoms."""
        self._pins.append((atoms.numpy().reshape(-1), reason))

    def row_atoms(self, grid: Tensor) -> Tensor:
        """For a (rows, columns) array, one atom per row that lives while any atom of the row does; shape (rows,)."""
        return torch.tensor([self._row(children) for children in grid.numpy()])

    def are_rows(self, atoms: Tensor) -> bool:
        """Whether they came of `row_atoms`."""
        return bool(self._row_numbers) and set(atoms.reshape(-1).tolist()) <= self._row_numbers

    def _row(self, children: np.ndarray) -> int:
        """The atom of one row; the same row again, as in every window, has the same one."""
        key = children.tobytes()
        if key not in self._row_cache:
            if (children < 0).any():
                self._row_cache[key] = ALIVE
            else:
                self._row_cache[key] = self.count
                self.rows.append(Row(self.count, np.unique(children)))
                self._row_numbers.add(self.count)
                self.count += 1
        return self._row_cache[key]

    def resolve(self) -> "Classes":
        """Find the classes of united atoms, with rows over equal children united too."""
        left, right = _joined(self._left), _joined(self._right)
        while True:
            root = _components(self.count, left, right)
            extra = _congruent_rows(self.rows, root)
            if not extra:
                break
            left = np.concatenate([left, [a for a, _ in extra]])
            right = np.concatenate([right, [b for _, b in extra]])
        pinned: dict[int, str] = {}
        for atoms, reason in self._pins:
            for atom in set(root[atoms[atoms >= 0]].tolist()):
                pinned.setdefault(atom, reason)
        children: dict[int, np.ndarray] = {}
        for row in self.rows:
            parent = int(root[row.atom])
            below = np.unique(root[row.children])
            children[parent] = np.union1d(children.get(parent, below), below)
        below_others = {p: c[c != p] for p, c in children.items()}
        below_others = {p: c for p, c in below_others.items() if len(c)}
        return Classes(root, pinned, below_others, tuple(root[made.numpy()] for made in self.made))


class Numbers(Atoms):
    """Atoms of a run whose unions are known already."""

    def unite(self, left: Tensor, right: Tensor, reason: str) -> None:
        pass

    def pin(self, atoms: Tensor, reason: str) -> None:
        pass


@dataclass(frozen=True)
class Classes:
    """The resolved union: `root[atom]` names the class of each atom."""

    root: np.ndarray
    pinned: dict[int, str]
    """Class -> why it cannot be cut."""
    children: dict[int, np.ndarray]
    """Class of a row -> the classes that go when it goes (and that take it along when all are gone)."""
    made: tuple[np.ndarray, ...] = ()
    """Classes of the axes of tensors that the network makes on the way, in order."""

    def of(self, atoms: Tensor) -> np.ndarray:
        """Classes of an array of atoms; `ALIVE` stays."""
        return self._root_or_alive[atoms.numpy()]

    @cached_property
    def _root_or_alive(self) -> np.ndarray:
        """`ALIVE`, which is -1, finds the last place."""
        return np.append(self.root, ALIVE)


def _spread(array: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    return array if array.shape == shape else np.broadcast_to(array, shape)


def _joined(parts: list[np.ndarray]) -> np.ndarray:
    return np.concatenate(parts) if parts else np.empty(0, dtype=np.int64)


def _components(count: int, left: np.ndarray, right: np.ndarray) -> np.ndarray:
    """Smallest member of each connected component, by hooking and pointer jumping."""
    root = np.arange(count)
    while True:
        a, b = root[left], root[right]
        active = a != b
        if not active.any():
            return root
        left, right = left[active], right[active]
        low, high = np.minimum(a, b)[active], np.maximum(a, b)[active]
        np.minimum.at(root, high, low)
        while True:
            jumped = root[root]
            if np.array_equal(jumped, root):
                break
            root = jumped


def _congruent_rows(rows: list[Row], root: np.ndarray) -> list[tuple[int, int]]:
    """Pairs of atoms that must be one: rows over equal children, and a row over a single child with that child."""
    seen: dict[bytes, int] = {}
    pairs = []
    for row in rows:
        below = np.unique(root[row.children])
        if len(below) == 1:
            partner = int(below[0])
        else:
            partner = seen.setdefault(below.tobytes(), row.atom)
        if root[partner] != root[row.atom]:
            pairs.append((partner, row.atom))
    return pairs
