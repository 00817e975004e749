"""Labels: which atoms own the positions of a traced tensor.

A label is a tuple of *factors*. A factor is an integer array with as many dimensions as the tensor, of size 1 along
every dimension that it does not vary over: (1, 64, 1, 1) for plain channels, (1, 6, 1, 10) for the widths of six heads.
A position of the tensor lives while the atoms of all its factors live. No factor along a dimension means that the
dimension has no channels (batch, space). Among the dimensions that a factor varies over the last is its *inner* one:
the others say which row a position belongs to, and rows may lose different inner positions, but equally many.
"""

import weakref
from collections.abc import Sequence

import torch
from torch import Tensor

from espalier.channels.atoms import Atoms

Label = tuple[Tensor, ...]


class Labels:
    """Which label each tensor of a run has; a tensor is known by its identity, and is not kept alive."""

    def __init__(self) -> None:
        self._found: dict[int, tuple[weakref.ref[Tensor], Label]] = {}

    def get(self, tensor: Tensor) -> Label | None:
        found = self._found.get(id(tensor))
        return found[1] if found is not None and found[0]() is tensor else None

    def __setitem__(self, tensor: Tensor, label: Label) -> None:
        self._found[id(tensor)] = weakref.ref(tensor), label


KERNEL = "a convolution kernel's height or width"
"""Why the spatial axes of a kernel are pinned."""


def varying(factor: Tensor) -> tuple[int, ...]:
    """The dimensions that a factor varies over."""
    return tuple(d for d, size in enumerate(factor.shape) if size > 1)


def covers(label: Label, dim: int) -> bool:
    return any(factor.shape[dim] > 1 for factor in label)


def axis(atoms: Tensor, dim: int, ndim: int) -> Tensor:
    """A one-dimensional array of atoms as a factor along `dim`."""
    return atoms.view([-1 if d == dim else 1 for d in range(ndim)])


def aligned(label: Label, ndim: int) -> Label:
    """The label with dimensions of size 1 put in front, as broadcasting does."""
    return tuple(f if f.ndim == ndim else f.view([1] * (ndim - f.ndim) + list(f.shape)) for f in label)


def shrunk(array: Tensor) -> Tensor | None:
    """An array of atoms over all positions, reduced to size 1 along dimensions where nothing changes.

    None when no position has an atom.
    """
    for dim in range(array.ndim):
        if array.shape[dim] > 1:
            first = array.narrow(dim, 0, 1)
            if array.stride(dim) == 0 or _constant(array, first, dim):
                array = first
    return None if array.numel() == 1 and int(array.reshape(())) < 0 else array.contiguous()


def _constant(array: Tensor, first: Tensor, dim: int) -> bool:
    """Whether nothing changes along a dimension; mostly the second position tells already."""
    second = array.narrow(dim, 1, 1)
    return torch.equal(first, second) and torch.equal(array, first.expand_as(array))


def collapse(atoms: Atoms, factor: Tensor, dim: int, reason: str) -> Tensor | None:
    """Unite a factor's atoms along `dim`, where no single position can go; None (and pinned) if nothing else varies."""
    if varying(factor) == (dim,):
        atoms.pin(factor, reason)
        return None
    first = factor.narrow(dim, 0, 1)
    atoms.unite(factor, first, reason)
    return first


def rows(atoms: Atoms, factor: Tensor, keep: Sequence[int]) -> Tensor:
    """The factor seen along the dimensions `keep` only: one atom per row, alive while any of the row's atoms is."""
    others = [d for d in varying(factor) if d not in keep]
    if not others:
        return factor
    order = [d for d in range(factor.ndim) if d not in others] + others
    shape = [1 if d in others else s for d, s in enumerate(factor.shape)]
    count = 1
    for d in others:
        count *= factor.shape[d]
    grid = factor.permute(order).reshape(-1, count)
    return atoms.row_atoms(grid.contiguous()).view(shape)


def drop(atoms: Atoms, factor: Tensor, dim: int, reason: str) -> Tensor | None:
    """The factor after a sum over `dim`: rows if `dim` is its inner dimension, else united along it; None if gone."""
    if factor.shape[dim] == 1:
        return factor
    if varying(factor) == (dim,):
        return None
    *outer, inner = varying(factor)
    if inner == dim:
        return rows(atoms, factor, outer)
    if outer == [dim] and factor.shape[dim] > factor.shape[inner]:
        atoms.unite(
            factor, factor.narrow(inner, 0, 1), reason
        )  # of the two the longer one keeps its channels
        return None
    return collapse(atoms, factor, dim, reason)


def meet(
    atoms: Atoms, operands: Sequence[tuple[Label, Sequence[int]]], shape: Sequence[int], reason: str
) -> Label:
    """The label of an elementwise result: what meets at a position is united, with broadcasting.

    Args:
        operands: label and shape of each operand.
        shape: shape of the result.
    """
    ndim = len(shape)
    labels = [aligned(label, ndim) for label, _ in operands]
    if len(labels) == 1:
        return labels[0]
    sizes = [[1] * (ndim - len(size)) + list(size) for _, size in operands]
    for dim in sorted({d for label in labels for factor in label for d in varying(factor)}):
        _settle(atoms, labels, sizes, dim, reason)
    result = labels[0]
    for label in labels[1:]:
        for factor in _paired(atoms, result, label, reason):
            if not any(factor is known for known in result):
                result = _join(atoms, result, factor, label, reason)
    return result


def _settle(atoms: Atoms, labels: list[Label], sizes: list[list[int]], dim: int, reason: str) -> None:
    """Where an operand without channels spans `dim`, no other operand can lose positions there."""
    spanning = [i for i, size in enumerate(sizes) if size[dim] > 1]
    if all(covers(labels[i], dim) for i in spanning):
        return
    for i, label in enumerate(labels):
        kept = (collapse(atoms, f, dim, reason) if f.shape[dim] > 1 else f for f in label)
        labels[i] = tuple(f for f in kept if f is not None)


def _join(atoms: Atoms, label: Label, factor: Tensor, siblings: Label, reason: str) -> Label:
    """Add a factor to a label; factors of one operand that vary along the same dimensions stay apart."""
    mine = varying(factor)
    for k, other in enumerate(label):
        theirs = varying(other)
        if not set(mine) & set(theirs) or (mine == theirs and any(other is s for s in siblings)):
            continue
        if set(mine) <= set(theirs):
            _unite_within(atoms, other, factor, reason)
            return label
        if set(theirs) <= set(mine):
            _unite_within(atoms, factor, other, reason)
            return _join(atoms, label[:k] + label[k + 1 :], factor, siblings, reason)
        shared = [d for d in mine if d in theirs]
        atoms.unite(rows(atoms, factor, shared), rows(atoms, other, shared), reason)
    return (*label, factor)


def _paired(atoms: Atoms, ours: Label, theirs: Label, reason: str) -> Label:
    """Unite factors where several run over the same dimensions; gives those of `theirs` that are left to join.

    Two are partners if they repeat in the same way. Of the others on each side the one that tells most positions
    apart takes part, and the rest stays whole: an atom of its own at every position cannot follow two.
    """
    left = theirs
    for dims in {varying(f) for f in theirs}:
        here, there = ([f for f in label if varying(f) == dims] for label in (ours, theirs))
        if not here or len(here) + len(there) < 3:
            continue
        left = tuple(f for f in left if varying(f) != dims)
        for factor in list(there):
            partner = next((f for f in here if torch.equal(_repeats(f), _repeats(factor))), None)
            if partner is not None:
                atoms.unite(factor, partner, reason)
                here, there = (
                    [f for f in fs if f is not factor and f is not partner] for fs in (here, there)
                )
        best = [max(fs, key=lambda f: len(f.unique())) for fs in (here, there) if fs]
        if len(best) == 2:
            atoms.unite(best[0], best[1], reason)
        for factor in [f for f in (*here, *there) if len(best) < 2 or not any(f is b for b in best)]:
            atoms.pin(factor, reason)
    return left


def _repeats(factor: Tensor) -> Tensor:
    """Which positions carry the same atom, numbered as they first come."""
    _, numbers = factor.reshape(-1).unique(return_inverse=True)
    first = torch.full((int(numbers.max()) + 1,), len(numbers))
    first.scatter_reduce_(0, numbers, torch.arange(len(numbers)), "amin")
    return first[numbers]


def _unite_within(atoms: Atoms, large: Tensor, small: Tensor, reason: str) -> None:
    """Unite a factor with one over fewer of its dimensions: by rows if those are leading, else position by position."""
    wide, narrow = varying(large), varying(small)
    if wide != narrow and wide[-1] not in narrow:
        large = rows(atoms, large, narrow)
    atoms.unite(large, small, reason)
