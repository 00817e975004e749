"""Operators whose statistics run over some dimensions: united with their parameters, marked over channels."""

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from espalier.channels.call import Call
from espalier.channels.labels import Label, axis, collapse, covers, meet


def _with_parameters(call: Call, x: Tensor, dim: int, parameters: Sequence[Tensor | None]) -> Label:
    """Meet one-dimensional parameters along `dim`."""
    sizes = [x.shape[dim] if d == dim else 1 for d in range(x.ndim)]
    operands = [call.operand(x)]
    for parameter in parameters:
        if parameter is not None:
            label = tuple(axis(f.reshape(-1), dim, x.ndim) for f in call.label(parameter))
            operands.append((label, torch.Size(sizes)))
    return meet(call.atoms, operands, x.shape, call.reason)


def _mark(call: Call, label: Label, dims: tuple[int, ...]) -> None:
    call.normalises(tuple(f for f in label if any(f.shape[d] > 1 for d in dims)))


def batch_norm(call: Call) -> None:
    x = call.args[0]
    parameters = [a for a in call.args[1:5] if isinstance(a, Tensor)]
    call.give(_with_parameters(call, x, 1, parameters), call.outputs()[0])


def layer_norm(call: Call) -> None:
    x, shape, weight, bias = call.args[:4]
    if len(shape) == 1:
        label = _with_parameters(call, x, x.ndim - 1, [weight, bias])
        if covers(label, x.ndim - 1):
            call.size(x.shape[-1], label, x.ndim - 1, attribute="normalized_shape")
    else:
        operands = [call.operand(t) for t in (x, weight, bias) if t is not None]
        label = meet(call.atoms, operands, x.shape, call.reason)
        for place, dim in enumerate(range(x.ndim - len(shape), x.ndim)):
            if covers(label, dim):
                call.size(
                    x.shape[dim], label, dim, attribute="normalized_shape", among=tuple(shape), place=place
                )
    _mark(call, label, tuple(range(x.ndim - len(shape), x.ndim)))
    call.give(label, call.outputs()[0])


def rms_norm(call: Call) -> None:
    x, shape, weight = call.args[:3]
    label = _with_parameters(call, x, x.ndim - 1, [weight]) if len(shape) == 1 else call.label(x)
    if len(shape) == 1 and covers(label, x.ndim - 1):
        call.size(x.shape[-1], label, x.ndim - 1, attribute="normalized_shape")
    _mark(call, label, tuple(range(x.ndim - len(shape), x.ndim)))
    call.give(label, call.outputs()[0])


def group_norm(call: Call) -> None:
    x, weight, bias = call.args[:3]
    groups = call.args[6]
    label = _with_parameters(call, x, 1, [weight, bias])
    if groups > 1 and covers(label, 1):
        call.grid(tuple(f.reshape(groups, -1) for f in label if f.numel() == x.shape[1] == f.shape[1]))
    if math.prod(x.shape[1:]) // groups > 1:
        _mark(call, label, (1,))
    call.give(label, call.outputs()[0])


def softmax(call: Call) -> None:
    x, dim = call.args[:2]
    label = call.label(x)
    _mark(call, label, (dim % x.ndim,))
    call.give(label)


def along(call: Call) -> None:
    """Sorting, cumulating and the like: positions along the dimension depend on one another's order."""
    x = call.args[0]
    default = -1 if call.name in ("sort", "argsort", "topk") else 0
    position = 2 if call.name == "topk" else 1
    dim = call.arg(position, "dim", default)
    dim = (dim if isinstance(dim, int) else -1) % max(x.ndim, 1)
    kept = [f if f.shape[dim] == 1 else collapse(call.atoms, f, dim, call.reason) for f in call.label(x)]
    label = tuple(f for f in kept if f is not None)
    for out in call.outputs():
        call.give(label, out)


RULES = {
    **dict.fromkeys(
        [
            "native_batch_norm", "_native_batch_norm_legit", "_native_batch_norm_legit_no_training",
            "cudnn_batch_norm", "_batch_norm_with_update", "_batch_norm_no_update", "_native_batch_norm_legit.no_stats",
        ],
        batch_norm,
    ),
    "native_layer_norm": layer_norm,
    "_fused_rms_norm": rms_norm,
    "native_group_norm": group_norm,
    "_softmax": softmax,
    "_log_softmax": softmax,
    "_safe_softmax": softmax,
    **dict.fromkeys(["sort", "argsort", "topk", "cumsum", "cumprod", "logcumsumexp"], along),
}  # fmt: skip
