"""Operators that work position by position, with broadcasting: what meets is united."""

import torch
from torch import Tensor

from espalier.channels.call import Call
from espalier.channels.labels import meet


def elementwise(call: Call) -> None:
    operands = [call.operand(t) for t in call.tensors()]
    for out in call.outputs():
        call.give(meet(call.atoms, operands, out.shape, call.reason), out)


def glu(call: Call) -> None:
    """One half times a gate made of the other: the halves go together."""
    x: Tensor = call.args[0]
    dim = call.arg(1, "dim", -1) % x.ndim
    halves = [tuple(f.chunk(2, dim)[k] if f.shape[dim] > 1 else f for f in call.label(x)) for k in (0, 1)]
    shape = call.outputs()[0].shape
    call.give(meet(call.atoms, [(half, shape) for half in halves], shape, call.reason))


def like(call: Call) -> None:
    """Filled or random tensors of the same shape: every position belongs to the one it was shaped after."""
    call.give(call.label(call.args[0]))


def fill(call: Call) -> None:
    """The tensor keeps its channels whatever is written into it."""
    target: Tensor = call.args[0]
    _unite_alone(call)
    call.give(call.label(target), target)


def copy(call: Call) -> None:
    """As elementwise, but positions that stand by themselves are those of the target."""
    _unite_alone(call)
    target: Tensor = call.args[0]
    operands = [
        (tuple(f for f in label if f.numel() > 1), sizes)
        for label, sizes in map(call.operand, call.tensors())
    ]
    lone = tuple(f for f in call.label(target) if f.numel() == 1)
    call.give((*lone, *meet(call.atoms, operands, target.shape, call.reason)))


def _unite_alone(call: Call) -> None:
    """Positions that stand by themselves and meet, such as row and column of what is written into a matrix."""
    lone = [f.reshape(-1) for tensor in call.tensors() for f in call.label(tensor) if f.numel() == 1]
    if len(lone) > 1:
        call.trace.met.append((torch.cat(lone), call.reason))


RULES = {
    "elementwise": elementwise,
    "copy_": copy,
    "_prelu_kernel": elementwise,
    "where": elementwise,
    "masked_fill": elementwise,
    "lerp": elementwise,
    **dict.fromkeys(["hardswish", "rrelu_with_noise", "log_sigmoid_forward", "native_dropout"], elementwise),
    **dict.fromkeys(["_conj", "_neg_view", "bernoulli"], elementwise),
    "glu": glu,
    "complex": elementwise,
    "polar": elementwise,
    "addcmul": elementwise,
    "addcdiv": elementwise,
    "tril": elementwise,
    "triu": elementwise,
    "zeros_like": like,
    "ones_like": like,
    "empty_like": like,
    "full_like": like,
    "rand_like": like,
    "randn_like": like,
    "bernoulli_": fill,
    "uniform_": fill,
    "normal_": fill,
    "fill_": fill,
    "zero_": fill,
}
