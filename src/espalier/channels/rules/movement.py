"""Operators that only move positions: run on the atoms themselves, they give the exact index map for free."""

from typing import Any

import torch
from torch import Tensor
from torch.nn import functional
from torch.utils._pytree import tree_map

from espalier.channels.atoms import ALIVE
from espalier.channels.call import Call
from espalier.channels.labels import Label, covers, meet, shrunk, varying
from espalier.channels.rules.reduction import over_space


def move(call: Call) -> None:
    """The first tensor argument is moved; index tensors and sizes are used as they are."""
    source = call.tensors()[0]
    label = tuple(_in_order(call, f) for f in call.label(source))
    results = _moved(call, source, label)
    for out, label in zip(call.outputs(), results, strict=True):
        call.give(label, out)
    _note_sizes(call, source)


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
    """Source dimension of each dimension of the result; the identity for all but permutations."""
    order = list(range(ndim))
    if call.name == "permute":
        order = [d % ndim for d in call.arg(1, "dims")]
    elif call.name in ("transpose", "t") and ndim > 1:
        a, b = (0, 1) if call.name == "t" else (call.arg(1, "dim0") % ndim, call.arg(2, "dim1") % ndim)
        order[a], order[b] = order[b], order[a]
    return order


def _moved(call: Call, source: Tensor, label: Label) -> list[Label]:
    outputs = call.outputs()
    results: list[Label] = [()] * len(outputs)
    for factor in label:
        for k, array in enumerate(_run(call, source, factor.expand(source.shape), outputs)):
            small = shrunk(array)
            if small is None:
                continue
            if varying(small):
                results[k] = (*results[k], small)
            else:
                call.pin((small,), f"one channel taken alone by {call.reason}")
    return results


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
    args, kwargs = tree_map(lambda a: atoms if a is source else a, (call.args, call.kwargs))
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
    elif call.name in ("split", "split_with_sizes"):
        _note_split(call)
    elif call.name == "slice":
        _note_slice(call, source)


def _note_split(call: Call) -> None:
    dim = call.arg(2, "dim", 0)
    sizes = tuple(out.shape[dim] for out in call.outputs())
    among = sizes if call.name == "split_with_sizes" else ()
    for place, out in enumerate(call.outputs()):
        label = call.label(out)
        if covers(label, dim % out.ndim):
            call.size(sizes[place], label, dim % out.ndim, among=among, place=place)
    if call.name == "split":
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
    for value in (call.arg(2, "start"), call.arg(3, "end")):
        if value is not None and 0 < value < source.shape[dim]:
            call.size(value, label, dim, 0, value)
    _tie_slices(call, source, dim)


def _tie_slices(call: Call, source: Tensor, dim: int) -> None:
    """Slices that together are equal pieces of a tensor stay equally large, as those of a split."""
    length, size = source.shape[dim], call.outputs()[0].shape[dim]
    start = call.arg(2, "start") or 0
    start = max(start + length, 0) if start < 0 else start
    if size == length or length % size or start % size or call.arg(4, "step", 1) != 1:
        return
    taken: set[tuple[int, int, int]] = (call.trace.pieces.get(source) or set()) | {(dim, start, size)}
    call.trace.pieces[source] = taken
    if all((dim, begin, size) in taken for begin in range(0, length, size)):
        inner = [f for f in call.label(source) if f.shape[dim] > 1 and varying(f)[-1] == dim]
        call.trace.grids.extend(f.unflatten(dim, (-1, size)) for f in inner)


def cat(call: Call) -> None:
    """Along the joined dimension positions stand side by side; along all others they meet."""
    tensors = [t for t in call.args[0] if t.numel()]
    out = call.outputs()[0]
    dim = call.arg(1, "dim", 0) % out.ndim
    across = [
        (
            tuple(f for f in call.label(t) if f.shape[dim] == 1),
            [1 if d == dim else s for d, s in enumerate(t.shape)],
        )
        for t in tensors
    ]
    shape = [1 if d == dim else s for d, s in enumerate(out.shape)]
    call.give((*_side_by_side(call, tensors, dim), *meet(call.atoms, across, shape, call.reason)), out)


def _side_by_side(call: Call, tensors: list[Tensor], dim: int) -> Label:
    along = [[f for f in call.label(t) if f.shape[dim] > 1] for t in tensors]
    joined = []
    for slot in range(max(len(fs) for fs in along)):
        parts = [
            fs[slot] if slot < len(fs) else torch.full([1] * t.ndim, -1, dtype=torch.int64)
            for fs, t in zip(along, tensors, strict=True)
        ]
        sizes = [max(p.shape[d] for p in parts) for d in range(parts[0].ndim)]
        spread = [
            p.expand([t.shape[dim] if d == dim else s for d, s in enumerate(sizes)])
            for p, t in zip(parts, tensors, strict=True)
        ]
        joined.append(torch.cat(spread, dim))
    return tuple(joined)


def stack(call: Call) -> None:
    """A new dimension; the stacked tensors meet along all old ones only where they carry the same channels."""
    tensors: list[Tensor] = list(call.args[0])
    out = call.outputs()[0]
    dim = call.arg(1, "dim", 0) % out.ndim
    parts = [(tuple(f.unsqueeze(dim) for f in call.label(t)), t.unsqueeze(dim).shape) for t in tensors]
    shape = [1 if d == dim else s for d, s in enumerate(out.shape)]
    call.give(meet(call.atoms, parts, shape, call.reason), out)


def pixel_shuffle(call: Call) -> None:
    """The phases of a pixel come from channels side by side, which go together."""
    square = int(call.arg(1, "upscale_factor")) ** 2
    for factor in call.label(call.args[0]):
        if factor.shape[-3] > 1:
            by_pixel = factor.unflatten(-3, (-1, square))
            call.atoms.unite(by_pixel, by_pixel.narrow(-3, 0, 1), call.reason)
    move(call)
    out = call.outputs()[0]
    call.give(tuple(_without_phases(call, f) for f in call.label(out)))


def _without_phases(call: Call, factor: Tensor) -> Tensor:
    """The factor of united atoms, again of size 1 over height and width where they alone made it vary."""
    source = call.args[0]
    if any(f.shape[-1] > 1 or f.shape[-2] > 1 for f in call.label(source)):
        return factor
    return factor[..., :1, :1]


def channel_shuffle(call: Call) -> None:
    """Takes a channel of each group in turn, so the same channels must go from every group."""
    groups = call.arg(1, "groups")
    for factor in call.label(call.args[0]):
        if factor.shape[1] > 1:
            by_group = factor.unflatten(1, (groups, -1))
            call.atoms.unite(by_group, by_group[:, :1], call.reason)
    move(call)


def index_put(call: Call) -> None:
    """Written values meet the positions that they replace."""
    target, indices, values = call.args[:3]
    place = torch.ops.aten.index.Tensor(torch.empty(target.shape, device="meta"), _to_meta(indices))
    moved = tuple(
        small
        for f in call.label(target)
        if (small := shrunk(torch.ops.aten.index.Tensor(f.expand(target.shape), indices))) is not None
    )
    meet(call.atoms, [(moved, place.shape), call.operand(values)], place.shape, call.reason)
    call.give(call.label(target))


def _to_meta(indices: list[Tensor | None]) -> list[Tensor | None]:
    return [None if i is None else i.to("meta") for i in indices]


def pad(call: Call) -> None:
    """Padding along an axis with channels adds positions that nobody owns; elsewhere it changes nothing."""
    amounts = list(call.args[1])
    label = []
    for factor in call.label(call.args[0]):
        own = [a if factor.shape[-1 - k // 2] > 1 else 0 for k, a in enumerate(amounts)]
        label.append(functional.pad(factor, own, value=ALIVE) if any(own) else factor)
    call.give(tuple(label))


def unfold(call: Call) -> None:
    """im2col: each channel owns all its kernel positions, in every patch."""
    x = call.args[0]
    out = call.outputs()[0]
    label = []
    for factor in over_space(call, call.label(x), x.ndim - 2):
        channels = factor.flatten(-3)
        times = out.shape[-2] // x.shape[-3] if channels.shape[-1] > 1 else 1
        label.append(channels.repeat_interleave(times, dim=-1).unsqueeze(-1))
    call.give(tuple(label), out)


def fold(call: Call) -> None:
    """col2im: overlapping patches are summed, so all kernel positions of a channel go together."""
    source = call.args[0]
    out = call.outputs()[0]
    channels = out.shape[-3]
    label = []
    for factor in call.label(source):
        full = factor.expand(source.shape)
        by_channel = full.reshape(*source.shape[:-2], channels, -1, source.shape[-1])
        first = by_channel[..., :1, :1]
        call.atoms.unite(by_channel, first, call.reason)
        small = shrunk(first)
        if small is not None:
            label.append(small)
    call.give(tuple(label), out)


_RESHAPES = {"view", "_unsafe_view", "reshape", "_reshape_alias"}
_COPIES = {"clone", "detach", "alias", "_to_copy", "contiguous", "lift_fresh", "lift_fresh_copy", "detach_"}
_MOVES = {
    "permute", "transpose", "t", "slice", "select", "expand", "pixel_unshuffle", "roll",
    "flip", "rot90", "unsqueeze", "squeeze", "split", "split_with_sizes", "unbind",
    "repeat", "reflection_pad1d", "reflection_pad2d", "reflection_pad3d",
    "replication_pad1d", "replication_pad2d", "replication_pad3d", "unfold", "index_select", "index", "gather",
    "diagonal", "repeat_interleave", "as_strided", "embedding",
}  # fmt: skip

RULES = {
    **dict.fromkeys(_RESHAPES | _COPIES | _MOVES, move),
    "cat": cat,
    "pixel_shuffle": pixel_shuffle,
    "channel_shuffle": channel_shuffle,
    "native_channel_shuffle": channel_shuffle,
    "stack": stack,
    "index_put": index_put,
    "_index_put_impl": index_put,
    "constant_pad_nd": pad,
    "im2col": unfold,
    "col2im": fold,
}
