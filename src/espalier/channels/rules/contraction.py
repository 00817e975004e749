"""Sums of products: the contracted axes are united, the result takes the other axes' channels."""

import math

import torch
from torch import Tensor

from espalier.channels.call import Call
from espalier.channels.labels import KERNEL, Label, axis, collapse, covers, drop, meet, varying


def contract(
    call: Call, left: tuple[Label, list[int]], right: tuple[Label, list[int]], shape: list[int], dim: int
) -> Label:
    """Meet in the space of all products, then sum over `dim`; `shape` is that space.

    Both operands come with one dimension per dimension of `shape`, of size 1 where they do not vary.
    """
    if _plain(left[0], right[0], dim):
        call.atoms.unite(left[0][0], next(f for f in right[0] if f.shape[dim] > 1), call.reason)
        return tuple(f.squeeze(dim) for f in right[0] if f.shape[dim] == 1)
    met = meet(call.atoms, [left, right], shape, call.reason)
    kept = [drop(call.atoms, f, dim, call.reason) for f in met]
    return simplified(call, tuple(f.squeeze(dim) for f in kept if f is not None))


def _plain(left: Label, right: Label, dim: int) -> bool:
    """Whether the left operand varies over the contracted dimension only, and each factor of the right one over one."""
    if len(left) != 1 or varying(left[0]) != (dim,):
        return False
    dims = [varying(f) for f in right]
    return dims.count((dim,)) == 1 and all(len(d) == 1 for d in dims) and len(set(dims)) == len(dims)


def simplified(call: Call, label: Label) -> Label:
    """Leave out factors that another one implies (a head, beside its widths)."""
    if len(label) < 2:
        return label
    alike: dict[tuple[int, ...], list[Tensor]] = {}
    for factor in label:
        same = alike.setdefault(varying(factor), [])
        if not any(torch.equal(factor, other) for other in same):
            same.append(factor)
    shape = [max(f.shape[d] for f in label) for d in range(label[0].ndim)]
    first = meet(call.atoms, [((fs[0],), list(fs[0].shape)) for fs in alike.values()], shape, call.reason)
    left = {varying(f) for f in first}
    return (*first, *(f for dims, fs in alike.items() if dims in left for f in fs[1:]))


def matmul(call: Call) -> None:
    """mm and bmm: (..., M, K) @ (..., K, N)."""
    call.give(_matmul(call, call.args[0], call.args[1]))


def addmm(call: Call) -> None:
    """addmm and baddbmm: bias + a @ b."""
    bias, a, b = call.args[:3]
    out = call.outputs()[0]
    call.give(
        meet(call.atoms, [(_matmul(call, a, b), out.shape), call.operand(bias)], out.shape, call.reason)
    )


def _matmul(call: Call, a: Tensor, b: Tensor) -> Label:
    n = b.shape[-1]
    left = (tuple(f.unsqueeze(-1) for f in call.label(a)), [*a.shape, 1])
    right = (tuple(f.unsqueeze(-3) for f in call.label(b)), [*b.shape[:-2], 1, *b.shape[-2:]])
    shape = [*a.shape, n]
    call.product(math.prod(shape), left[0] + right[0])
    return contract(call, left, right, shape, len(shape) - 2)


def distance(call: Call) -> None:
    """Distances between the rows of two matrices: a sum over their columns, as in a product."""
    a, b = call.args[:2]
    left = (tuple(f.unsqueeze(-2) for f in call.label(a)), [*a.shape[:-1], 1, a.shape[-1]])
    right = (tuple(f.unsqueeze(-3) for f in call.label(b)), [*b.shape[:-2], 1, *b.shape[-2:]])
    shape = [*a.shape[:-1], *b.shape[-2:]]
    call.product(math.prod(shape), left[0] + right[0])
    call.give(contract(call, left, right, shape, len(shape) - 1))


def matrix_vector(call: Call) -> None:
    """mv: (M, K) @ (K)."""
    a, b = call.args[:2]
    shape = [1, *b.shape]
    call.product(a.numel(), call.label(a))
    right = (tuple(f.unsqueeze(0) for f in call.label(b)), shape)
    call.give(contract(call, (call.label(a), list(a.shape)), right, list(a.shape), 1))


def dot(call: Call) -> None:
    """dot and vdot: one number."""
    a, b = call.args[:2]
    contract(call, (call.label(a), list(a.shape)), (call.label(b), list(b.shape)), list(a.shape), 0)
    call.give(())


def attention(call: Call) -> None:
    """Fused softmax(q k^T) v on (B, heads, tokens, width); several query heads may share those of keys and values."""
    q, k, v = call.args[:3]
    times = q.shape[1] // k.shape[1]
    keys, values = (_shared(call.label(t), times) for t in (k, v))
    k, v = (t.new_empty((1,)).expand(t.shape[0], t.shape[1] * times, *t.shape[2:]) for t in (k, v))
    scores_shape = [*q.shape[:-1], k.shape[-2]]
    left = (tuple(f.unsqueeze(-2) for f in call.label(q)), [*q.shape[:-1], 1, q.shape[-1]])
    right = (tuple(f.unsqueeze(-3) for f in keys), [*k.shape[:-2], 1, *k.shape[-2:]])
    space = [*scores_shape, q.shape[-1]]
    call.product(math.prod(space), left[0] + right[0])
    scores = contract(call, left, right, space, len(space) - 1)
    left = (tuple(f.unsqueeze(-1) for f in scores), [*scores_shape, 1])
    right = (tuple(f.unsqueeze(-3) for f in values), [*v.shape[:-2], 1, *v.shape[-2:]])
    space = [*scores_shape, v.shape[-1]]
    call.product(math.prod(space), left[0] + right[0])
    call.give(contract(call, left, right, space, len(space) - 2), call.outputs()[0])


def _shared(label: Label, times: int) -> Label:
    """Heads of keys or values, each as often as query heads share it."""
    if times == 1:
        return label
    return tuple(f.repeat_interleave(times, 1) if f.shape[1] > 1 else f for f in label)


def convolution(call: Call) -> None:
    """Any convolution, seen as a product over (batch, groups, outputs of a group, inputs of a group)."""
    x, weight, bias = call.args[:3]
    transposed, groups = call.args[6], call.args[8]
    out = call.outputs()[0]
    outs, ins = out.shape[1] // groups, x.shape[1] // groups
    space = [x.shape[0], groups, outs, ins]
    left = (_input_label(call, x, groups), [x.shape[0], groups, 1, ins])
    right = (_weight_label(call, weight, groups, transposed), [1, groups, outs, ins])
    taps = math.prod(weight.shape[2:]) * (math.prod(x.shape[2:]) if transposed else math.prod(out.shape[2:]))
    call.product(math.prod(space) * taps, left[0] + right[0])
    if ins == 1 and covers(left[0], 1):  # depthwise: an input channel takes all that is made of it along
        right = (tuple(_by_group(call, f) for f in right[0]), right[1])
    if groups > 1:
        call.grid(left[0] + right[0])
        if covers(left[0], 1):
            call.size(groups, left[0], 1, attribute="groups")
    label = contract(call, left, right, space, 3)
    flat = tuple(_flat_channels(f, groups, outs, out.ndim) for f in label)
    call.give(_with_bias(call, flat, bias, out))


def _with_bias(call: Call, label: Label, bias: Tensor | None, out: Tensor) -> Label:
    if bias is None:
        return label
    axes = tuple(axis(f.reshape(-1), 1, out.ndim) for f in call.label(bias))
    if len(label) == len(axes) == 1 and label[0].shape == axes[0].shape:
        call.atoms.unite(label[0], axes[0], call.reason)
        return label
    sizes = [1, out.shape[1], *[1] * (out.ndim - 2)]
    return meet(call.atoms, [(label, out.shape), (axes, sizes)], out.shape, call.reason)


def _by_group(call: Call, factor: Tensor) -> Tensor:
    if factor.shape[1] == 1 or factor.shape[2] == 1:
        return factor
    first = factor.narrow(2, 0, 1)
    call.atoms.unite(factor, first, call.reason)
    return first


def _input_label(call: Call, x: Tensor, groups: int) -> Label:
    label = []
    for factor in call.label(x):
        kept: Tensor | None = factor
        for dim in (0, *range(2, x.ndim)):  # one kernel serves all of batch and space
            if kept is not None and kept.shape[dim] > 1 and (dim > 0 or kept.shape[1] > 1):
                kept = collapse(call.atoms, kept, dim, call.reason)
        if kept is not None:
            channels = kept.reshape(kept.shape[0], kept.shape[1])
            wide = channels.shape[1] > 1
            label.append(
                channels.view(-1, groups if wide else 1, 1, channels.shape[1] // groups if wide else 1)
            )
    return tuple(label)


def _weight_label(call: Call, weight: Tensor, groups: int, transposed: bool) -> Label:
    label = []
    for factor in call.label(weight):
        kept: Tensor | None = factor
        for dim in range(2, weight.ndim):
            if kept is not None and kept.shape[dim] > 1:
                kept = collapse(call.atoms, kept, dim, KERNEL)
        if kept is not None:
            label.append(_as_product(kept.reshape(kept.shape[:2]), groups, transposed))
    return tuple(label)


def _as_product(factor: Tensor, groups: int, transposed: bool) -> Tensor:
    """A weight's factor in the space (1, groups, outputs, inputs).

    The weight is stored as (outputs, inputs of a group), or (inputs, outputs of a group) if transposed.
    """
    first = (groups, factor.shape[0] // groups) if factor.shape[0] > 1 else (1, 1)
    view = factor.reshape(1, *first, factor.shape[1])
    return view.transpose(2, 3) if transposed else view


def _flat_channels(factor: Tensor, groups: int, outs: int, ndim: int) -> Tensor:
    """(batch, groups, outputs) as the channel axis of the result."""
    if factor.shape[1] == 1 and factor.shape[2] == 1:
        flat = factor.reshape(-1, 1)
    else:
        flat = factor.expand(-1, groups, outs).reshape(factor.shape[0], groups * outs)
    return flat.view(*flat.shape, *[1] * (ndim - 2))


RULES = {
    "mm": matmul,
    "_cdist_forward": distance,
    "_euclidean_dist": distance,
    "mv": matrix_vector,
    "dot": dot,
    "vdot": dot,
    "bmm": matmul,
    "addmm": addmm,
    "baddbmm": addmm,
    "convolution": convolution,
    "_scaled_dot_product_flash_attention_for_cpu": attention,
    "_scaled_dot_product_flash_attention": attention,
    "_scaled_dot_product_efficient_attention": attention,
    "_scaled_dot_product_cudnn_attention": attention,
    "_scaled_dot_product_fused_attention_overrideable": attention,
}
