"""Exact optimal brain surgeon for single weights: each output's weights go one by one, the others make up for it."""

import copy
from collections.abc import Mapping

import torch
from torch import Tensor, nn

from espalier.calibration import Record
from espalier.calibration.layers import Layer, fill_, is_layer, matrix

DAMPING = 1e-3
"""Added to the moments, as a share of their mean square, so that their inverse exists."""
STEPS = 64
"""In so many steps all weights of a row go."""
NUMBERS = 2_000_000
"""Of all inverses that are worked on together, so that they stay in the processor's cache."""
PACKED = 0.8
"""Inverses are packed anew when no more than this share of their rows is still in use."""


def prices(
    body: nn.Module, sizes: Mapping[str, Tensor], records: Mapping[str, Record], felt: Mapping[str, Tensor]
) -> dict[str, Tensor]:
    """What each weight's loss costs the image, when those before it have gone and the rest is refitted.

    Layers that were not seen (custom ones, or run more than once) have their squared weights at the others' mean rate.
    """
    found, seen = {}, []
    for name, size in sizes.items():
        layer_name = name.rpartition(".")[0]
        layer, record = body.get_submodule(layer_name), records.get(layer_name)
        if record is None or record.moments is None or record.calls > 1 or not is_layer(layer):
            continue
        found[name] = _of_layer(layer, record, felt.get(layer_name))
        seen.append(found[name].mean() / size.square().mean())
    rate = torch.stack(seen).mean() if seen else torch.tensor(1.0)
    return {name: found.get(name, size.square() * rate.to(size)) for name, size in sizes.items()}


def _of_layer(layer: Layer, record: Record, felt: Tensor | None) -> Tensor:
    assert record.moments is not None
    rows = matrix(layer)
    costs = torch.stack([eliminate(moments, part.float()) for moments, part in zip(record.moments, rows)])
    costs = costs * record.positions
    if felt is not None:
        costs = costs * felt.diagonal().reshape(len(rows), -1, 1).clamp(min=0)
    holder = copy.deepcopy(layer)
    fill_(holder, costs, None)
    return holder.weight.detach()


def eliminate(moments: Tensor, rows: Tensor, damping: float = DAMPING) -> Tensor:
    """Rise of the error of each weight's removal, ascending in the order in which each row's weights go.

    Args:
        moments: mean of outer products of the inputs, (columns, columns).
        rows: weights (outputs, columns); in their type it is computed.
    """
    ridge = max(damping * float(moments.diagonal().mean()), 1e-30)
    damped = moments.double() + ridge * torch.eye(len(moments), dtype=torch.float64, device=moments.device)
    inverse = torch.cholesky_inverse(torch.linalg.cholesky(damped)).to(rows.dtype)
    together = max(1, NUMBERS // len(moments) ** 2)
    return torch.cat([_greedily(inverse, part) for part in rows.split(together)])


def _greedily(inverse: Tensor, rows: Tensor) -> Tensor:
    """Hassibi and Stork (1993) row by row, as Frantar and Alistarh do it (OBC, NeurIPS 2022, section 4).

    They take one weight at a time; here a sixty-fourth of a row goes at once, and is made up for together.
    """
    count, columns = rows.shape
    inverses, weights = inverse.expand(count, -1, -1).clone(), rows.clone()
    costs, total = torch.zeros_like(rows), torch.zeros(count, 1, dtype=rows.dtype, device=rows.device)
    places = torch.arange(columns, device=rows.device).expand(count, -1)
    alive = torch.ones_like(rows, dtype=torch.bool)
    least = torch.finfo(rows.dtype).tiny
    left = columns
    while left:
        step = min(-(-columns // STEPS), left)
        rise = weights.square() / inverses.diagonal(dim1=1, dim2=2).clamp(min=least)
        cost, gone = rise.masked_fill(~alive, torch.inf).topk(step, largest=False)
        total = torch.maximum(total, cost.cummax(1).values)  # ascending: what goes is the order's first part
        costs.scatter_(1, places.gather(1, gone), total)
        total, left = total[:, -1:], left - step
        alive.scatter_(1, gone, False)
        _remove_(inverses, weights, gone)
        if left <= PACKED * weights.shape[1]:
            stay = alive.nonzero()[:, 1].reshape(count, left)
            inverses = _packed(inverses, stay)
            weights, places, alive = (t.gather(1, stay) for t in (weights, places, alive))
    return costs


def _remove_(inverses: Tensor, weights: Tensor, gone: Tensor) -> None:
    """Take weights (rows, removed) out of each row; the others of the row make up for them."""
    across = inverses.gather(1, gone[:, :, None].expand(-1, -1, weights.shape[1]))
    block = across.gather(2, gone[:, None, :].expand(-1, gone.shape[1], -1))
    factors, _ = torch.linalg.cholesky_ex(block)
    solved = torch.cholesky_solve(across, factors)
    weights -= (weights.gather(1, gone)[:, None, :] @ solved)[:, 0]
    inverses.baddbmm_(across.mT, solved, alpha=-1)


def _packed(inverses: Tensor, stay: Tensor) -> Tensor:
    """The rows and columns that stay, of each."""
    return torch.stack([inverse[index][:, index] for inverse, index in zip(inverses, stay)])
