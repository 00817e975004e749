"""Least squares for layers under masks: each output is solved for with the inputs that it still reads."""

import copy
from collections.abc import Mapping

import torch
from torch import Tensor

from espalier.calibration.layers import Layer, fill_, matrix
from espalier.calibration.refit import Solve
from espalier.calibration.solve import DAMPINGS, Rows, product
from espalier.methods.obs.elimination import together

ROUNDS = 2
"""More solutions where only the positive part of a layer's output matters."""


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
    """Weights (outputs, columns) with the least error, moved only where `free`; never worse than `start`."""
    train, held = rows.split()
    trials = {damping: start + _change(train, start, free, damping) for damping in DAMPINGS}
    chosen = min(trials, key=lambda damping: held.error(trials[damping]))
    if not held.error(trials[chosen]) < held.error(start):
        return start
    weights, least = start, rows.error(start)
    for _ in range(1 + ROUNDS * rows.rectified):
        trial = weights + _change(rows, weights, free, chosen)
        error = rows.error(trial)
        if error >= least:
            break
        weights, least = trial, error
    return weights


def _change(rows: Rows, start: Tensor, free: Tensor, damping: float) -> Tensor:
    gram, moments = product(rows.inputs, rows.inputs), product(rows.inputs, rows.missing(start)).T
    ridge = max(damping * float(gram.diagonal().mean()), 1e-30)
    damped = gram + ridge * torch.eye(len(gram), dtype=gram.dtype, device=gram.device)
    changes, chunk = [], together(len(gram))
    for open_, right in zip(free.split(chunk), moments.split(chunk)):
        own = damped * (open_[:, :, None] & open_[:, None, :]) + torch.diag_embed((~open_).double())
        factors, _ = torch.linalg.cholesky_ex(own)
        changes.append(torch.cholesky_solve((right * open_)[:, :, None], factors)[:, :, 0])
    return torch.cat(changes)


def _mask_matrix(layer: Layer, mask: Tensor | None) -> Tensor:
    """The mask as rows and columns stand in `matrix`."""
    holder = copy.deepcopy(layer)
    holder.weight.data.copy_(torch.zeros_like(layer.weight) if mask is None else mask.to(layer.weight))
    return matrix(holder) > 0.5
