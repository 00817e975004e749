"""Tensors that a network makes on the way and whose positions are all alike: they may be made smaller."""

import math
from collections.abc import Iterator

from torch import Tensor

from espalier.channels.call import Call
from espalier.channels.labels import Label, axis, covers, varying
from espalier.channels.rules.movement import move


def uniform(call: Call) -> None:
    """Zeros, ones and the like: along an axis as long as one with channels, every position may go."""
    out = call.outputs()[0]
    label = tuple(axis(call.made(out.shape[d]), d, out.ndim) for d in _wide(call, out))
    call.give(label, out)
    _note_sizes(call, out, label)


def identity(call: Call) -> None:
    """A square one: row and column go together."""
    out = call.outputs()[0]
    label: Label = ()
    if len(_wide(call, out)) == 2 and out.shape[0] == out.shape[1]:
        atoms = call.made(out.shape[0])
        label = tuple(axis(atoms, d, 2) for d in range(2))
    call.give(label, out)
    _note_sizes(call, out, label)


def spread(call: Call) -> None:
    """A tensor repeated along an axis of size 1, as if made that long."""
    source: Tensor = call.args[0]
    out = call.outputs()[0]
    if call.label(source):
        move(call)
    sizes = [1] * (out.ndim - source.ndim) + list(source.shape)
    dims = [d for d in _wide(call, out) if sizes[d] == 1 and not covers(call.label(out), d)]
    heads = tuple(f for f in call.label(out) if call.atoms.are_rows(f))
    fresh = tuple(_fresh(call, out, d, heads) for d in dims)
    if call.name == "repeat":
        fresh += tuple(_copies(call, source, out))
    call.give((*call.label(out), *fresh), out)
    _note_sizes(call, out, fresh)


def _copies(call: Call, source: Tensor, out: Tensor) -> Iterator[Tensor]:
    """Channels that each have a copy of the same numbers, such as the filters of a wavelet."""
    for factor in call.label(source):
        dims = varying(factor)
        if len(dims) != 1 or not _of_buffers(call, factor):
            continue
        size, dim = factor.shape[dims[0]], out.ndim - source.ndim + dims[0]
        times = out.shape[dim] // size
        if times > 1 and times in call.trace.widths:
            yield axis(call.made(times).repeat_interleave(size), dim, out.ndim)


def _of_buffers(call: Call, factor: Tensor) -> bool:
    """Whether the positions are those of numbers that the network was built with."""
    axes = (a for name in call.trace.buffers for a in call.trace.owners[name] if a is not None)
    return any(int(a.min()) <= int(factor.min()) and int(factor.max()) <= int(a.max()) for a in axes)


def _fresh(call: Call, out: Tensor, dim: int, heads: Label) -> Tensor:
    """Channels along `dim`, others for each of the rows that are spread, as where a norm is laid over its head."""
    shape = [max((f.shape[d] for f in heads), default=1) for d in range(dim)] + [1] * (out.ndim - dim)
    shape[dim] = out.shape[dim]
    return call.made(math.prod(shape)).view(shape)


def _wide(call: Call, out: Tensor) -> list[int]:
    """The axes that may follow channels; only floating point numbers do, others are indices or masks."""
    if not (out.is_floating_point() or out.is_complex()):
        return []
    return [d for d, size in enumerate(out.shape) if size > 1 and size in call.trace.widths]


def _note_sizes(call: Call, out: Tensor, label: Label) -> None:
    for factor in label:
        dim = varying(factor)[-1]
        call.size(out.shape[dim], label, dim, among=tuple(out.shape), place=dim)


RULES = {
    **dict.fromkeys(
        [
            "zeros", "ones", "full", "empty", "new_zeros", "new_ones", "new_full", "new_empty",
            "new_empty_strided", "empty_strided",
        ],
        uniform,
    ),
    "eye": identity,
    "expand": spread,
    "repeat": spread,
}  # fmt: skip
