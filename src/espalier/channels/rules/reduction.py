"""Sums, means and extremes over dimensions, and pooling over space."""

import math
from collections.abc import Sequence

from torch import Tensor

from espalier.channels.call import Call
from espalier.channels.labels import Label, collapse, drop, varying
from espalier.channels.rules.contraction import simplified

_DIM_POSITION = {"linalg_vector_norm": 2, "norm": 2}
_PLAIN_SUMS = {"sum", "linalg_vector_norm", "norm"}
"""Zeros add nothing to these; all others depend on how many positions there are."""


def _dims(call: Call, x: Tensor) -> list[int]:
    dims = call.arg(_DIM_POSITION.get(call.name, 1), "dim")
    if dims is None or (isinstance(dims, Sequence) and not dims):
        return list(range(x.ndim))
    if isinstance(dims, bool):
        return list(range(x.ndim))
    return sorted({d % x.ndim for d in ([dims] if isinstance(dims, int) else dims)})


def reduce(call: Call) -> None:
    x = call.args[0]
    label, dims = call.label(x), _dims(call, x)
    if call.name not in _PLAIN_SUMS:
        call.normalises(tuple(f for f in label if any(f.shape[d] > 1 for d in dims)))
    kept = [_longer(call, f, dims) for f in label]
    for dim in reversed(dims):
        dropped = [drop(call.atoms, f, dim, call.reason) for f in kept]
        kept = [f for f in dropped if f is not None]
    for out in call.outputs():
        final = tuple(kept)
        if out.ndim < x.ndim:
            shape = [[s for d, s in enumerate(f.shape) if d not in dims] for f in kept]
            final = tuple(f.reshape(s) for f, s in zip(kept, shape, strict=True))
        call.give(simplified(call, final) if out.ndim else (), out)


def _longer(call: Call, factor: Tensor, dims: list[int]) -> Tensor:
    """Rows that are shorter than there are rows, and that vanish, go together: a few numbers for each channel."""
    *outer, inner = varying(factor) or (0,)
    rows = math.prod(factor.shape[d] for d in outer)
    if inner not in dims or not outer or set(outer) & set(dims) or rows <= factor.shape[inner]:
        return factor
    first = factor.narrow(inner, 0, 1)
    call.atoms.unite(factor, first, call.reason)
    return first


def extreme_index(call: Call) -> None:
    """argmax and the like give positions, which mean something else after a cut."""
    x = call.args[0]
    for dim in _dims(call, x):
        call.pin(tuple(f for f in call.label(x) if f.shape[dim] > 1))
    call.give(())


def spatial(call: Call) -> None:
    """Pooling and interpolation over the last dimensions: the leading ones keep their channels."""
    x = call.args[0]
    out = call.outputs()[0]
    leading = _leading(call, x)
    label = over_space(call, call.label(x), leading)
    for result in (out, *call.outputs()[1:]):
        call.give(label, result)


def _leading(call: Call, x: Tensor) -> int:
    """How many dimensions come before space."""
    if call.name.endswith(("1d", "3d")):
        return x.ndim - int(call.name[-2])
    return 2 if x.ndim >= 4 else x.ndim - 2


def over_space(call: Call, label: Label, leading: int) -> Label:
    """The label of a tensor of which no position along the dimensions from `leading` on can go alone."""
    result = []
    for factor in label:
        kept: Tensor | None = factor
        for dim in range(leading, factor.ndim):
            if kept is not None and kept.shape[dim] > 1:
                kept = collapse(call.atoms, kept, dim, call.reason)
        if kept is not None:
            result.append(kept)
    return tuple(result)


def grid_sample(call: Call) -> None:
    """The sampled image keeps its channels; the coordinates have a fixed meaning."""
    image, grid = call.args[:2]
    call.pin(call.label(grid), f"coordinates of {call.reason}")
    call.give(over_space(call, call.label(image), 2))


RULES = {
    **dict.fromkeys(
        [
            "mean", "sum", "amax", "amin", "max", "min", "var", "std", "var_mean", "std_mean", "prod", "norm",
            "linalg_vector_norm", "any", "all", "logsumexp",
        ],
        reduce,
    ),
    **dict.fromkeys(["argmax", "argmin"], extreme_index),
    **dict.fromkeys(
        [
            "adaptive_avg_pool2d", "_adaptive_avg_pool2d", "adaptive_max_pool2d", "avg_pool2d", "max_pool2d",
            "max_pool2d_with_indices", "upsample_nearest2d", "_upsample_nearest_exact2d", "upsample_bilinear2d",
            "adaptive_avg_pool1d", "_adaptive_avg_pool3d", "avg_pool1d", "avg_pool3d", "upsample_linear1d",
            "upsample_nearest1d", "upsample_nearest3d", "upsample_trilinear3d", "max_pool3d_with_indices",
            "upsample_bicubic2d", "_upsample_bilinear2d_aa", "_upsample_bicubic2d_aa",
        ],
        spatial,
    ),
    "grid_sampler_2d": grid_sample,
}  # fmt: skip
