"""Operators that put tensors together, or write one into another."""

import torch
from torch import Tensor

from espalier.channels.call import Call
from espalier.channels.labels import Label, collapse, meet, shrunk


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


def scatter(call: Call) -> None:
    """Values written at given places along one dimension, where none can go alone; along all others they meet."""
    target, dim, _, values = call.args[:4]
    dim %= target.ndim
    whole = [_without(call, t, dim) for t in (target, values) if isinstance(t, Tensor)]
    sizes = [
        [1 if d == dim else s for d, s in enumerate(t.shape)]
        for t in (target, values)
        if isinstance(t, Tensor)
    ]
    call.give(meet(call.atoms, list(zip(whole, sizes, strict=True)), sizes[0], call.reason))


def _without(call: Call, tensor: Tensor, dim: int) -> Label:
    kept = (collapse(call.atoms, f, dim, call.reason) if f.shape[dim] > 1 else f for f in call.label(tensor))
    return tuple(f for f in kept if f is not None)


def _to_meta(indices: list[Tensor | None]) -> list[Tensor | None]:
    return [None if i is None else i.to("meta") for i in indices]


RULES = {
    "cat": cat,
    "stack": stack,
    **dict.fromkeys(["scatter", "scatter_add", "scatter_reduce"], scatter),
    "index_put": index_put,
    "_index_put_impl": index_put,
}
