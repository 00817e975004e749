"""What a group is part of, read off the operators that its channels pass through, never off class names."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace

import numpy as np
import torch
from torch import Tensor

from espalier.channels.atoms import Classes
from espalier.channels.groups import ChannelGroup
from espalier.channels.labels import Label
from espalier.channels.records import Event, Trace

Use = tuple[str, Label]
"""What channels are used for, and their factors."""


def named(groups: Iterable[ChannelGroup], trace: Trace, classes: Classes) -> tuple[ChannelGroup, ...]:
    """The groups with their patterns."""
    bits: dict[str, int] = {}
    uses = np.zeros(len(classes.root), dtype=np.int64)
    known: dict[int, Tensor] = {}
    done: set[tuple[str, int]] = set()
    for event in trace.events:
        for kind, label in READERS[event.name.rstrip("_")](_resolved(event, classes, known)):
            for ids in label:
                if (kind, id(ids)) not in done:
                    done.add((kind, id(ids)))
                    found = ids.numpy()
                    uses[found[found >= 0]] |= bits.setdefault(kind, 1 << len(bits))
    result = []
    for group in groups:
        found = int(np.bitwise_or.reduce(uses[group.classes]))
        result.append(replace(group, pattern=pattern(group, {k for k, bit in bits.items() if found & bit})))
    return tuple(result)


def pattern(group: ChannelGroup, uses: set[str]) -> str:
    """The first pattern that fits a group whose channels have these uses."""
    return next(name for name, fits in PATTERNS if fits(group, uses))


def makers(group: ChannelGroup) -> int:
    """How many weights have the group on their first axis."""
    takers = {m.tensor for m in group.members if m.dim == 1}
    firsts = {m.tensor for m in group.members if m.dim == 0}
    return sum(tensor.endswith("weight") or tensor in takers for tensor in firsts)


def takers(group: ChannelGroup) -> int:
    """How many weights have the group on their second axis."""
    return len({m.tensor for m in group.members if m.dim == 1})


def _uses(*wanted: str, unless: str = "") -> Callable[[ChannelGroup, set[str]], bool]:
    return lambda _, uses: set(wanted) <= uses and unless not in uses


PATTERNS: tuple[tuple[str, Callable[[ChannelGroup, set[str]], bool]], ...] = (
    ("attention heads", _uses("heads")),
    ("window attention", _uses("in windows")),
    ("self-attention", _uses("attended")),
    ("transposed attention", _uses("mapped")),
    ("patch merging", _uses("patched")),
    ("channel attention", _uses("pooled", unless="spatial")),
    ("residual stream", lambda group, uses: "added" in uses and makers(group) > 1),
    ("upsampler", _uses("shuffled")),
    ("gate", _uses("gated")),
    ("distillation split", _uses("split", "joined")),
    ("split", _uses("split")),
    ("dense block", lambda group, uses: "joined" in uses and takers(group) > 1),
    ("concatenation", _uses("joined")),
    ("depthwise chain", _uses("depthwise")),
    ("grouped convolution", _uses("grouped")),
    ("MLP", _uses("linear", unless="convolved")),
    ("fixed", lambda group, _: group.status == "pinned"),
    ("chain", lambda _group, _uses: True),
)
"""The most telling first; the last fits always."""


def _resolved(event: Event, classes: Classes, known: dict[int, Tensor]) -> Event:
    """The event with classes in place of atoms; `known` keeps those of factors seen before."""

    def of(factor: Tensor) -> Tensor:
        if id(factor) not in known:
            known[id(factor)] = torch.from_numpy(classes.of(factor))
        return known[id(factor)]

    return replace(event, labels=tuple(tuple(of(f) for f in label) for label in event.labels))


def _along(label: Label, dim: int) -> Label:
    """The factors that vary along a dimension."""
    return tuple(f for f in label if f.shape[dim] > 1)


def _shuffle(event: Event) -> Iterator[Use]:
    yield "shuffled", _along(event.labels[0], -3)


def _patches(event: Event) -> Iterator[Use]:
    yield "patched", _along(event.labels[0], -3)


def _convolution(event: Event) -> Iterator[Use]:
    image, weight = event.labels[:2]
    groups = event.numbers[8] or 1
    yield "convolved", (*image, *weight)
    space = event.out[2:]
    yield ("spatial" if max(space) > 1 else "pooled"), (*image, *weight)
    if groups > 1:
        yield ("depthwise" if event.shapes[0][1] == groups else "grouped"), _along(image, 1)


def _linear(event: Event) -> Iterator[Use]:
    operands = event.labels[-2:]
    both = (*operands[0], *operands[1])
    yield "linear", both
    yield ("spatial" if event.out[0] > 1 else "pooled"), both


def _products(event: Event) -> Iterator[Use]:
    """Batches of matrices: scores of queries and keys, or what they weigh."""
    left, right = event.labels[-2:]
    rows, inner, columns = _along(left, -2), _along(left, -1), _along(right, -1)
    heads = _along(left, 0)
    yield "heads", _whole(heads)
    if rows and columns and not inner:
        yield "mapped", (*rows, *columns)
    elif not rows:
        windows = event.shapes[-2][0] > _heads((*heads, *_along(right, 0)))
        yield ("in windows" if windows else "attended"), (*inner, *columns)


def _whole(label: Label) -> Label:
    """The factors that say which row a position stands in, but not where in the row."""
    return tuple(f for f in label if torch.equal(f, f[..., :1, :1].expand_as(f)))


def _heads(label: Label) -> int:
    """How many different rows the first dimension has; the same ones come again in every window."""
    return max((len(torch.unique(f.reshape(len(f), -1)[:, 0])) for f in label), default=1)


def _attention(event: Event) -> Iterator[Use]:
    windows = event.shapes[0][0] > 1
    for label in event.labels[:3]:
        yield "heads", _whole(_along(label, 1))
        yield ("in windows" if windows else "attended"), _along(label, -1)


def _cat(event: Event) -> Iterator[Use]:
    for label in event.labels:
        yield "joined", _along(label, _number(event, 1))


def _split(event: Event) -> Iterator[Use]:
    yield "split", _along(event.labels[0], _number(event, 2))


def _number(event: Event, place: int) -> int:
    """An integer argument whose default is 0."""
    return (event.numbers[place] or 0) if len(event.numbers) > place else 0


def _together(kind: str) -> Callable[[Event], Iterator[Use]]:
    def read(event: Event) -> Iterator[Use]:
        """Two images of channels, position by position; a bias or a scale is smaller than the result."""
        pooled = len(event.out) == 4 and max(event.out[2:]) == 1
        if len(event.labels) == 2 and not pooled and all(shape == event.out for shape in event.shapes):
            yield kind, (*event.labels[0], *event.labels[1])

    return read


READERS: dict[str, Callable[[Event], Iterator[Use]]] = {
    "pixel_shuffle": _shuffle,
    "pixel_unshuffle": _patches,
    "im2col": _patches,
    "convolution": _convolution,
    "mm": _linear,
    "addmm": _linear,
    "bmm": _products,
    "baddbmm": _products,
    "cat": _cat,
    "split": _split,
    "split_with_sizes": _split,
    "add": _together("added"),
    "mul": _together("gated"),
    **dict.fromkeys(
        [
            "_scaled_dot_product_flash_attention_for_cpu", "_scaled_dot_product_flash_attention",
            "_scaled_dot_product_efficient_attention", "_scaled_dot_product_cudnn_attention",
            "_scaled_dot_product_fused_attention_overrideable",
        ],
        _attention,
    ),
}  # fmt: skip
"""Operator -> what its operands' channels are used for."""
