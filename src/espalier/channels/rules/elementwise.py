"""Operators that work position by position, with broadcasting: what meets is united."""

from torch import Tensor

from espalier.channels.call import Call
from espalier.channels.labels import meet


def elementwise(call: Call) -> None:
    operands = [call.operand(t) for t in call.tensors()]
    for out in call.outputs():
        call.give(meet(call.atoms, operands, out.shape, call.reason), out)


def like(call: Call) -> None:
    """Filled or random tensors of the same shape: every position belongs to the one it was shaped after."""
    call.give(call.label(call.args[0]))


def fill(call: Call) -> None:
    """The tensor keeps its channels whatever is written into it."""
    target: Tensor = call.args[0]
    call.give(call.label(target), target)


RULES = {
    "elementwise": elementwise,
    "copy_": elementwise,
    "_prelu_kernel": elementwise,
    "where": elementwise,
    "masked_fill": elementwise,
    "lerp": elementwise,
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
