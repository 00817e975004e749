"""Least squares for one layer: ridge towards the present weights, damping chosen on held-out rows."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

DAMPINGS = (1e-6, 1e-4, 1e-2)
"""Ridge, as a share of the mean square of a column."""
HELD = 0.2
"""Share of the rows (the last ones: other patches) on which the damping is chosen."""
CHUNK = 8192
"""Rows whose products are summed in float32."""
MIRRORED, STRIPS = 192, 4
"""Columns from which only half of a symmetric product is computed, and into how many strips it is parted for that."""


@dataclass(frozen=True)
class Rows:
    """The inputs of one group of outputs, and what these outputs should be."""

    inputs: Tensor
    """(rows, columns) float32; a column of ones stands in for a bias."""
    targets: Tensor
    """(rows, outputs) float32."""
    rectified: bool = False
    """Only max(output, 0) matters."""
    offset: Tensor | None = None
    """What is added to the outputs (and was taken off the targets) before they are rectified."""

    def split(self) -> tuple["Rows", "Rows"]:
        cut = len(self.inputs) - max(1, int(len(self.inputs) * HELD))
        return self._part(slice(cut)), self._part(slice(cut, None))

    def _part(self, part: slice) -> "Rows":
        offset = None if self.offset is None else self.offset[part]
        return Rows(self.inputs[part], self.targets[part], self.rectified, offset)

    def missing(self, weights: Tensor) -> Tensor:
        """What the outputs with weights (outputs, columns) lack; nothing where they are rightly below zero.

        Where the outputs are rectified and both are positive, or the wanted one alone, it is their difference; where
        only the given one is positive, what brings it to zero.
        """
        short = torch.addmm(self.targets, self.inputs, weights.T.float(), alpha=-1)
        if not self.rectified:
            return short
        wanted = self.targets if self.offset is None else self.targets + self.offset
        return torch.where(wanted > 0, short, (short - wanted).clamp_(max=0))

    def error(self, weights: Tensor) -> float:
        """Mean square of what is missed with weights (outputs, columns)."""
        return self.error_of(self.missing(weights))

    def error_of(self, missing: Tensor) -> float:
        """The same from what `missing` gave: a rectified output can lack no more than what is wanted."""
        if self.rectified:
            wanted = self.targets if self.offset is None else self.targets + self.offset
            missing = torch.minimum(missing, wanted.relu())
        return float(missing.square().mean())


def product(left: Tensor, right: Tensor) -> Tensor:
    """left^T right over all rows: float32 products of a few thousand rows at a time, summed in float64."""
    total = torch.zeros(left.shape[1], right.shape[1], dtype=torch.float64, device=left.device)
    for start in range(0, len(left), CHUNK):
        total += left[start : start + CHUNK].T @ right[start : start + CHUNK]
    return total


def gram(rows: Tensor) -> Tensor:
    """rows^T rows, summed as `product` does; what lies below the diagonal is mirrored instead of computed."""
    columns = rows.shape[1]
    if columns < MIRRORED:
        return product(rows, rows)
    total = torch.zeros(columns, columns, dtype=torch.float64, device=rows.device)
    strips = torch.arange(columns).split(-(-columns // STRIPS))
    for chunk in rows.split(CHUNK):
        for strip in strips:
            first, last = int(strip[0]), int(strip[-1]) + 1
            total[first:last, first:] += chunk[:, first:last].T @ chunk[:, first:]
    return total.triu_().add_(total.triu(1).T)


def factored(moments: Tensor, ridge: float) -> Tensor:
    """Cholesky's, with as much more damping as rounding asks for."""
    while True:
        damped = moments.clone()
        damped.diagonal().add_(ridge)
        factor, failed = torch.linalg.cholesky_ex(damped)
        if not int(failed):
            return factor
        ridge *= 10


def fit(rows: Rows, start: Tensor, *, rounds: int = 2) -> Tensor:
    """Weights (outputs, columns) near `start` with the least error; `start` itself if held-out rows say so."""
    train, held = rows.split()
    grams = [gram(part.inputs) for part in (train, held)]
    moments = [product(part.inputs, part.missing(start)) for part in (train, held)]
    gains = {}
    for damping in DAMPINGS:
        change = _solver(grams[0], damping)(moments[0])
        gains[damping] = float((change * (grams[1] @ change - 2 * moments[1])).sum())
    chosen = min(gains, key=gains.__getitem__)
    if not gains[chosen] < 0:
        return start
    solve = _solver(grams[0].add_(grams.pop()), chosen)
    weights = start + solve(moments[0] + moments[1]).T
    return mend(rows, weights, solve, rounds) if rows.rectified else weights


def mend(rows: Rows, weights: Tensor, solve: Callable[[Tensor], Tensor], rounds: int) -> Tensor:
    """More solutions where only the positive part matters (Zhang et al., TPAMI 2016, section 3.3).

    Where the target is negative any negative output is right, so what a solution gives there is the next one's target.
    """
    missing = rows.missing(weights)
    least = rows.error_of(missing)
    for _ in range(rounds):
        trial = weights + solve(product(rows.inputs, missing)).T
        missing = rows.missing(trial)
        error = rows.error_of(missing)
        if error >= least:
            break
        weights, least = trial, error
    return weights


def _solver(gram: Tensor, damping: float) -> Callable[[Tensor], Tensor]:
    damped = gram.clone()
    damped.diagonal().add_(max(damping * float(gram.diagonal().mean()), 1e-30))
    factor, failed = torch.linalg.cholesky_ex(damped)
    if int(failed):
        return lambda moments: torch.linalg.lstsq(damped, moments).solution
    return lambda moments: torch.cholesky_solve(moments, factor)
