"""What sums, means, norms and softmaxes give when some positions are left out, as in the cut network."""

import math
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

Masks = Sequence[Tensor | None]
"""For each tensor argument: True where a position lives (broadcastable), or None for all."""


def call(func: Any, args: tuple[Any, ...], kwargs: dict[str, Any], masks: Masks) -> Any:
    """Run an ATen operator with the dead positions of its tensor arguments left out."""
    name = func._schema.name.removeprefix("aten::").rstrip("_")
    handler = _STATISTICS.get(name)
    if handler is not None and masks[0] is not None:
        return handler(func, args, kwargs, masks[0])
    remaining = list(masks)
    zeroed = [_zeroed(a, remaining.pop(0)) if isinstance(a, Tensor) and remaining else a for a in args]
    return func(*zeroed, **kwargs)


def _zeroed(x: Tensor, mask: Tensor | None) -> Tensor:
    return x if mask is None else torch.where(mask, x, torch.zeros((), dtype=x.dtype))


def _softmax(func: Any, args: tuple[Any, ...], kwargs: dict[str, Any], mask: Tensor) -> Tensor:
    filled = args[0].masked_fill(~mask, -math.inf)
    return func(filled, *args[1:], **kwargs).nan_to_num(0.0, neginf=0.0)


def _filled(value: float) -> Callable[..., Any]:
    def run(func: Any, args: tuple[Any, ...], kwargs: dict[str, Any], mask: Tensor) -> Any:
        result = func(args[0].masked_fill(~mask, value), *args[1:], **kwargs)
        if not math.isinf(value):
            return result
        if isinstance(result, Tensor):
            return result.masked_fill(result == value, 0.0)  # all dead: nothing, and no NaN further on
        return type(result)((result[0].masked_fill(result[0] == value, 0.0), *result[1:]))

    return run


def _moments(x: Tensor, mask: Tensor, dims: list[int], keepdim: bool) -> tuple[Tensor, Tensor, Tensor]:
    """Count, mean and mean square deviation over the living positions of `dims`."""
    lives = mask.expand(x.shape)
    count = lives.sum(dims, keepdim=True).clamp(min=1)
    mean = _zeroed(x, mask).sum(dims, keepdim=True) / count
    deviation = _zeroed((x - mean) ** 2, mask).sum(dims, keepdim=True) / count
    if keepdim:
        return count, mean, deviation
    return tuple(t.squeeze(dims) for t in (count, mean, deviation))  # type: ignore[return-value]


def _dims(x: Tensor, args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[list[int], bool]:
    dims = args[1] if len(args) > 1 else kwargs.get("dim")
    dims = (
        list(range(x.ndim)) if dims is None or dims == [] else [dims] if isinstance(dims, int) else list(dims)
    )
    keepdim = kwargs.get("keepdim", args[2] if len(args) > 2 and isinstance(args[2], bool) else False)
    return [d % x.ndim for d in dims], keepdim


def _mean(func: Any, args: tuple[Any, ...], kwargs: dict[str, Any], mask: Tensor) -> Tensor:
    del func
    dims, keepdim = _dims(args[0], args, kwargs)
    return _moments(args[0], mask, dims, keepdim)[1]


def _variance(func: Any, args: tuple[Any, ...], kwargs: dict[str, Any], mask: Tensor) -> Any:
    dims, keepdim = _dims(args[0], args, kwargs)
    count, mean, deviation = _moments(args[0], mask, dims, keepdim)
    correction = kwargs.get("correction", 1)
    freedom = (count - (1 if correction is None else correction)).clamp(
        min=1
    )  # where all are dead: 0, not NaN
    variance = deviation * count / freedom
    name = func._schema.name
    result = variance.sqrt() if "std" in name else variance
    return (result, mean) if "mean" in name else result


def _affine(x: Tensor, mask: Tensor, weight: Tensor | None, bias: Tensor | None) -> Tensor:
    x = _zeroed(x, mask)
    x = x if weight is None else x * weight
    return x if bias is None else x + bias


def _layer_norm(func: Any, args: tuple[Any, ...], kwargs: dict[str, Any], mask: Tensor) -> tuple[Tensor, ...]:
    del func, kwargs
    x, shape, weight, bias, eps = args
    _, mean, variance = _moments(x, mask, list(range(x.ndim - len(shape), x.ndim)), True)
    scale = torch.rsqrt(variance + eps)
    return _affine((x - mean) * scale, mask, weight, bias).contiguous(), mean, scale


def _rms_norm(func: Any, args: tuple[Any, ...], kwargs: dict[str, Any], mask: Tensor) -> tuple[Tensor, ...]:
    del func, kwargs
    x, shape, weight, eps = args
    _, square, _ = _moments(x**2, mask, list(range(x.ndim - len(shape), x.ndim)), True)
    scale = torch.rsqrt(square + (torch.finfo(x.dtype).eps if eps is None else eps))
    return _affine(x * scale, mask, weight, None), scale


def _group_norm(func: Any, args: tuple[Any, ...], kwargs: dict[str, Any], mask: Tensor) -> tuple[Tensor, ...]:
    del func, kwargs
    x, weight, bias, *_, groups, eps = args
    grouped = x.reshape(x.shape[0], groups, -1)
    lives = mask.expand(x.shape).reshape(grouped.shape)
    _, mean, variance = _moments(grouped, lives, [2], True)
    scale = torch.rsqrt(variance + eps)
    normal = ((grouped - mean) * scale).reshape(x.shape)
    sizes = [1, -1, *[1] * (x.ndim - 2)]
    weight, bias = (None if p is None else p.view(sizes) for p in (weight, bias))
    return _affine(normal, mask, weight, bias), mean.squeeze(2), scale.squeeze(2)


_STATISTICS: dict[str, Callable[..., Any]] = {
    "_softmax": _softmax,
    "_log_softmax": _softmax,
    "_safe_softmax": _softmax,
    "logsumexp": _filled(-math.inf),
    "amax": _filled(-math.inf),
    "max": _filled(-math.inf),
    "amin": _filled(math.inf),
    "min": _filled(math.inf),
    "prod": _filled(1.0),
    "mean": _mean,
    **dict.fromkeys(["var", "std", "var_mean", "std_mean"], _variance),
    "native_layer_norm": _layer_norm,
    "_fused_rms_norm": _rms_norm,
    "native_group_norm": _group_norm,
}

_SUMS = {
    "mm", "mv", "dot", "vdot", "bmm", "addmm", "baddbmm", "convolution", "sum", "norm", "linalg_vector_norm",
    "_cdist_forward", "_euclidean_dist",
    "_scaled_dot_product_flash_attention_for_cpu", "_scaled_dot_product_flash_attention",
    "_scaled_dot_product_efficient_attention",
}  # fmt: skip

COUNTING = _SUMS | set(_STATISTICS)
"""Operators whose result depends on which positions live."""
