"""Operators that only move positions: run on the atoms themselves, they give the exact index map for free."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from espalier.channels.call import Call
from espalier.channels.labels import Label, covers, shrunk, varying


def move(call: Call) -> None:
    """The first tensor argument is moved; index tensors and sizes are used as they are."""
    source = call.tensors()[0]
    label = call.label(source)
    if call.name in _PERMUTATIONS:
        label = tuple(_in_order(call, f) for f in label)
    results = _moved(call, source, label)
    for out, label in zip(call.outputs(), results, strict=True):
        call.give(label, out)
    _note_sizes(call, source)


def move_in_place(call: Call) -> None:
    """The tensor has its new shape already; its factors, shaped as it was, follow it."""
    x: Tensor = call.args[0]
    if call.name == "squeeze_" and len(call.args) == 1 and any(f.ndim != x.ndim for f in call.label(x)):
        raise NotImplementedError  # a factor has size 1 along more dimensions than the tensor had
    label = call.label(x)
    if call.name in ("transpose_", "t_"):
        label = tuple(_in_order(call, f) for f in label)
    if call.name != "squeeze_" or any(f.ndim != x.ndim for f in label):
        label = tuple(call.func(f.clone(), *call.args[1:]) for f in label)
    call.give(label, x)


def _in_order(call: Call, factor: Tensor) -> Tensor:
    """A factor whose dimensions a permutation is about to reorder, reduced to the longest of those.

    Rows may lose different positions only while the positions stay the inner dimension (see `labels`).
    """
    order = _permutation(call, factor.ndim)
    moved = [d for d in order if factor.shape[d] > 1]
    if moved == sorted(moved):
        return factor
    longest = max(moved, key=lambda d: factor.shape[d])
    for dim in moved:
        if dim != longest:
            first = factor.narrow(dim, 0, 1)
            call.atoms.unite(factor, first, call.reason)
            factor = first
    return factor


def _permutation(call: Call, ndim: int) -> list[int]:
    """Source dimension of each dimension of the result."""
    order = list(range(ndim))
    name = call.name.rstrip("_")
    if name == "permute":
        order = [d % ndim for d in call.arg(1, "dims")]
    elif ndim > 1:
        a, b = (0, 1) if name == "t" else (call.arg(1, "dim0") % ndim, call.arg(2, "dim1") % ndim)
        order[a], order[b] = order[b], order[a]
    return order


def _moved(call: Call, source: Tensor, label: Label) -> list[Label]:
    outputs = call.outputs()
    results: list[Label] = [()] * len(outputs)
    for factor in label:
        arrays = _directly(call, source, factor)
        if arrays is None:
            arrays = [shrunk(a) for a in _run(call, source, factor.expand(source.shape), outputs)]
        for k, small in enumerate(arrays):
            if small is None or not small.numel():  # an empty slice has no channels
                continue
            if varying(small) or call.name in ALONE:
                results[k] = (*results[k], small)
                if not varying(small) and varying(factor):
                    call.alone(factor, small)
            else:
                call.pin((small,), f"one channel taken alone by {call.reason}")
    return results


def _directly(call: Call, source: Tensor, factor: Tensor) -> Sequence[Tensor | None] | None:
    """The factor moved without spreading it over the whole tensor first, where the operator is simple enough."""
    outputs = call.outputs()
    if call.name in _COPIES:
        return [factor]
    if call.name in _SHAPING and source.numel() and outputs[0].numel() == source.numel():
        return [shrunk(reshaped(factor, source.shape, outputs[0].shape))]
    if call.name == "expand":
        return [factor.view([1] * (outputs[0].ndim - factor.ndim) + list(factor.shape))]
    if call.name in _TURNS:
        return [array.contiguous() for array in _call_with(call, source, factor)]
    if call.name in _PARTS:
        place = _PARTS[call.name]
        dim = call.arg(place, "dim", 0) % source.ndim
        if factor.shape[dim] > 1:
            return [shrunk(array) for array in _call_with(call, source, factor)]
        same = factor.squeeze(dim) if call.name in ("select", "unbind") else factor
        return [same] * len(outputs)
    if call.name in _PADS and all(size == 1 for size in factor.shape[-int(call.name[-2]) :]):
        return [factor]
    return None


def reshaped(factor: Tensor, source: Sequence[int], out: Sequence[int]) -> Tensor:
    """A factor after a view, spread only over those split or joined dimensions of which it varies over some."""
    spread: list[int] = []
    shape: list[int] = []
    i = j = 0
    while i < len(source) or j < len(out):
        first, start = i, j
        left = source[i] if i < len(source) else 1
        right = out[j] if j < len(out) else 1
        i, j = i + 1, j + 1
        while left != right:
            if left < right:
                left, i = left * source[i], i + 1
            else:
                right, j = right * out[j], j + 1
        varies = any(size > 1 for size in factor.shape[first:i])
        spread += source[first:i] if varies else [1] * len(source[first:i])
        shape += out[start:j] if varies else [1] * len(out[start:j])
    return factor.expand(spread).reshape(shape)


_AS_FLOAT: set[str] = set()


def _run(call: Call, source: Tensor, atoms: Tensor, outputs: list[Tensor]) -> list[Tensor]:
    if call.name in _RESHAPES:
        return [atoms.reshape(outputs[0].shape)]
    if call.name in _COPIES:
        return [atoms]
    if call.name not in _AS_FLOAT:
        try:
            return _call_with(call, source, atoms)
        except (NotImplementedError, RuntimeError):
            _AS_FLOAT.add(call.name)
    return [t.to(torch.int64) for t in _call_with(call, source, atoms.to(torch.float64))]


def _call_with(call: Call, source: Tensor, atoms: Tensor) -> list[Tensor]:
    args = (
        atoms if a is source else a for a in call.args
    )  # those that move take no lists of tensors to move
    kwargs = {key: atoms if a is source else a for key, a in call.kwargs.items()}
    result: Any = call.func(*args, **kwargs)
    return list(result) if isinstance(result, list | tuple) else [result]


def _note_sizes(call: Call, source: Tensor) -> None:
    """Integers that the network passed along an axis with channels, for relinking."""
    if call.name in _RESHAPES or call.name in ("expand", "repeat"):
        for out in call.outputs():
            label = call.label(out)
            for dim in range(out.ndim):
                if covers(label, dim):
                    call.size(out.shape[dim], label, dim, among=tuple(out.shape), place=dim)
            if call.name in _RESHAPES:
                call.grid(label)
    elif call.name in ("split", "split_with_sizes", "unsafe_split"):
        _note_split(call, source)
    elif call.name == "slice":
        _note_slice(call, source)


def _note_split(call: Call, source: Tensor) -> None:
    dim = call.arg(2, "dim", 0)
    if call.name == "split_with_sizes" and covers(call.label(source), dim % source.ndim):
        # one of the sizes may have been written as what the others leave of the whole
        call.size(source.shape[dim], call.label(source), dim % source.ndim)
    sizes = tuple(out.shape[dim] for out in call.outputs())
    among = sizes if call.name == "split_with_sizes" else ()
    for place, out in enumerate(call.outputs()):
        label = call.label(out)
        if covers(label, dim % out.ndim):
            call.size(sizes[place], label, dim % out.ndim, among=among, place=place)
    if call.name != "split_with_sizes":
        _tie_pieces(call, dim)


def _tie_pieces(call: Call, dim: int) -> None:
    """Equal pieces of an axis stay equally large."""
    pieces = [call.label(out) for out in call.outputs()]
    flat = [p[0].reshape(-1) for p in pieces if len(p) == 1 and varying(p[0]) == (dim % p[0].ndim,)]
    if len(flat) == len(pieces) > 1 and len({len(f) for f in flat}) == 1:
        call.trace.grids.append(torch.stack(flat))


def _note_slice(call: Call, source: Tensor) -> None:
    dim = call.arg(1, "dim", 0) % source.ndim
    label = call.label(source)
    if not covers(label, dim):
        return
    start, end = call.arg(2, "start") or 0, call.arg(3, "end")
    for value in (start, end):
        if value is not None and 0 < value < source.shape[dim]:
            call.size(value, label, dim, 0, value)
    if end is not None and 0 < start < end <= source.shape[dim]:
        call.size(end - start, label, dim, start, end)  # narrow(dim, start, length)
    _tie_slices(call, source, dim)


def _tie_slices(call: Call, source: Tensor, dim: int) -> None:
    """Slices that together are equal pieces of a tensor stay equally large, as those of a split."""
    length, size = source.shape[dim], call.outputs()[0].shape[dim]
    start = call.arg(2, "start") or 0
    start = max(start + length, 0) if start < 0 else start
    if size in (0, length) or length % size or start % size or call.arg(4, "step", 1) != 1:
        return
    taken: set[tuple[int, int, int]] = (call.trace.pieces.get(source) or set()) | {(dim, start, size)}
    call.trace.pieces[source] = taken
    if all((dim, begin, size) in taken for begin in range(0, length, size)):
        inner = [f for f in call.label(source) if f.shape[dim] > 1 and varying(f)[-1] == dim]
        call.trace.grids.extend(f.unflatten(dim, (-1, size)) for f in inner)


ALONE = {"select", "slice", "view", "unsqueeze", "squeeze", "alias", "detach", "copy", "fill"}
"""Operators, without the underscore of those in place, that may be given a position that stands by itself."""
_PERMUTATIONS = {"permute", "transpose", "t"}
_RESHAPES = {"view", "_unsafe_view", "reshape", "_reshape_alias"}
_COPIES = {"clone", "detach", "alias", "_to_copy", "contiguous", "lift_fresh", "lift_fresh_copy", "detach_"}
_MOVES = {
    "permute", "transpose", "t", "slice", "select", "pixel_unshuffle", "roll",
    "flip", "rot90", "unsqueeze", "squeeze", "split", "split_with_sizes", "unsafe_split", "unbind",
    "reflection_pad1d", "reflection_pad2d", "reflection_pad3d",
    "replication_pad1d", "replication_pad2d", "replication_pad3d", "unfold", "index_select", "index", "gather",
    "diagonal", "repeat_interleave", "as_strided", "embedding",
}  # fmt: skip

_SHAPING = _RESHAPES | {"squeeze", "unsqueeze"}
_TURNS = {"permute", "transpose", "t", "flip"}
_PARTS = {"slice": 1, "select": 1, "unbind": 1, "split": 2, "split_with_sizes": 2, "unsafe_split": 2}
"""Operators that take pieces, and where their dimension stands."""
_PADS = {f"{kind}_pad{n}d" for kind in ("reflection", "replication") for n in (1, 2, 3)}

RULES = {
    **dict.fromkeys(_RESHAPES | _COPIES | _MOVES, move),
    **dict.fromkeys(["unsqueeze_", "squeeze_", "transpose_", "t_"], move_in_place),
}
