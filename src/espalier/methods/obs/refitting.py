"""Least squares for layers under masks: each output is solved for with the inputs that it still reads."""

import copy
from collections.abc import Callable, Mapping

import torch
from torch import Tensor

from espalier.calibration.layers import Layer, fill_, matrix
from espalier.calibration.refit import Solve
from espalier.calibration.solve import DAMPINGS, Rows, factored, gram, mend, product

ROUNDS = 2
"""More solutions where only the positive part of a layer's output matters."""
PROBED = 8
"""Outputs of a layer by which its damping is chosen."""


def under(masks: Mapping[str, Tensor]) -> Solve:
    """What `calibration.refit` solves each layer with; layers without a mask keep their weights, get a new bias."""

    def solve(
        name: str, layer: Layer, rows: Tensor, wanted: Tensor, rectified: bool, offset: Tensor | None
    ) -> None:
        refit_(layer, masks.get(f"{name}.weight"), rows, wanted, rectified, offset)

    return solve


def refit_(
    layer: Layer, mask: Tensor | None, rows: Tensor, wanted: Tensor, rectified: bool, offset: Tensor | None
) -> None:
    """Solve for what the mask leaves; shapes as in `calibration.refit.refit_`."""
    start, free = matrix(layer), _mask_matrix(layer, mask)
    outputs, biased = start.shape[1], layer.bias is not None
    weights, biases = [], []
    for g in range(len(start)):
        inputs, first, open_ = rows[:, g], start[g], free[g]
        part = slice(g * outputs, (g + 1) * outputs)
        if biased:
            assert layer.bias is not None
            first = torch.cat([first, layer.bias.detach()[part, None].double()], 1)
            open_ = torch.cat([open_, open_.new_ones(len(open_), 1)], 1)
        moved = offset[:, part] if offset is not None else None
        solved = fit(Rows(inputs, wanted[:, part], rectified, moved), first, open_)
        weights.append(solved[:, :-1] if biased else solved)
        biases.append(solved[:, -1])
    fill_(layer, torch.stack(weights), torch.cat(biases) if biased else None)


def fit(rows: Rows, start: Tensor, free: Tensor) -> Tensor:
    """Weights (outputs, columns) near `start` with the least error, moved only where `free`; or `start` itself.

    Damping is chosen by a few of the outputs on held-out rows; where none helps these, nothing is moved.
    """
    parts = rows.split()
    grams = [gram(part.inputs) for part in parts]
    moments = [product(part.inputs, part.missing(start)).T for part in parts]
    chosen = _damping(grams, moments, free)
    if chosen is None:
        return start
    solve = _solver(grams[0] + grams[1], free, chosen)
    weights = start + solve(moments[0] + moments[1])
    if not rows.rectified:
        return weights
    return mend(rows, weights, lambda moments: solve(moments.T).T, ROUNDS)


def _damping(grams: list[Tensor], moments: list[Tensor], free: Tensor) -> float | None:
    """The damping with the least error on the held-out part; None where the weights as they are have less."""
    probed = torch.arange(0, len(free), max(1, len(free) // PROBED), device=free.device)
    fitted, held = (part[probed] for part in moments)
    gains = {}
    for damping in DAMPINGS:
        change = _solver(grams[0], free[probed], damping)(fitted)
        gains[damping] = float((change * (change @ grams[1] - 2 * held)).sum())
    chosen = min(gains, key=gains.__getitem__)
    return chosen if gains[chosen] < 0 else None


def _solver(moments: Tensor, free: Tensor, damping: float) -> Callable[[Tensor], Tensor]:
    """Solves moments x = right for each output, within its free columns; each output's factor is kept."""
    ridge = max(damping * float(moments.diagonal().mean()), 1e-30)
    places = [row.nonzero()[:, 0] for row in free]
    factors = [factored(moments[place][:, place], ridge) for place in places]

    def solve(right: Tensor) -> Tensor:
        result = torch.zeros_like(right)
        for row, place, factor, wanted in zip(result, places, factors, right):
            row[place] = torch.cholesky_solve(wanted[place, None], factor)[:, 0]
        return result

    return solve


def _mask_matrix(layer: Layer, mask: Tensor | None) -> Tensor:
    """The mask as rows and columns stand in `matrix`."""
    holder = copy.deepcopy(layer)
    holder.weight.data.copy_(torch.zeros_like(layer.weight) if mask is None else mask.to(layer.weight))
    return matrix(holder) > 0.5
