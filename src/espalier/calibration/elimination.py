"""Structured optimal brain surgeon: which channels cost least, when what remains is refitted each time."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from espalier.calibration.solve import factored

DAMPING = 1e-4
"""Added to the moments, as a share of their mean square, so that their inverse exists."""
GATHERED = 128
"""Columns taken off an inverse at once."""


@dataclass(frozen=True)
class Consumer:
    """One layer (or one group of a grouped convolution) that reads the channels."""

    moments: Tensor
    """Mean of outer products of its input rows, (columns, columns)."""
    weights: Tensor
    """(outputs, columns), each output in units of image error."""
    columns: Tensor
    """Columns that each channel owns, (channels, columns of a channel)."""


@dataclass(frozen=True)
class Elimination:
    """Channels in the order in which they go."""

    order: np.ndarray
    damage: np.ndarray
    """Error after the k-th channel has gone, ascending."""


def eliminate(consumers: Sequence[Consumer], damping: float = DAMPING) -> Elimination:
    """Take channels out one by one, always the one whose loss costs the consumers least (Hassibi and Stork, 1993)."""
    states = [_State(c, damping) for c in consumers]
    channels = len(consumers[0].columns)
    alive = torch.ones(channels, dtype=torch.bool, device=consumers[0].moments.device)
    order, damage, total = [], [], 0.0
    for _ in range(channels):
        cost = torch.stack([state.costs(alive) for state in states]).sum(0)
        cost[~alive] = torch.inf
        gone = int(cost.argmin())
        total += max(float(cost[gone]), 0.0)
        order.append(gone)
        damage.append(total)
        alive[gone] = False
        for state in states:
            state.remove(gone)
    return Elimination(np.array(order), np.array(damage))


class _State:
    """Inverse moments and weights of one consumer as channels go.

    The inverse is `inverse - factors factors^T`: what removals take off it is gathered and subtracted many columns at
    once, which is one large product in place of many passes over the whole matrix.
    """

    def __init__(self, consumer: Consumer, damping: float) -> None:
        moments = consumer.moments.double()
        ridge = max(damping * float(moments.diagonal().mean()), 1e-30)
        self.inverse = torch.cholesky_inverse(factored(moments, ridge))
        self.factors = moments.new_zeros(len(moments), 0)
        self.weights = consumer.weights.double().clone()
        self.columns = own = consumer.columns
        self.blocks = self.inverse[own[:, :, None], own[:, None, :]]

    def costs(self, alive: Tensor) -> Tensor:
        """Rise of the error when each channel goes and the rest is refitted."""
        self.blocks[~alive] = torch.eye(self.columns.shape[1]).to(self.blocks)
        weights = self.weights[:, self.columns].permute(1, 2, 0)
        factors, _ = torch.linalg.cholesky_ex(self.blocks)
        return torch.linalg.solve_triangular(factors, weights, upper=False).square().sum((1, 2))

    def remove(self, channel: int) -> None:
        own = self.columns[channel]
        columns = self.inverse[:, own] - self.factors @ self.factors[own].T
        factor, _ = torch.linalg.cholesky_ex(columns[own])
        gone = torch.linalg.solve_triangular(factor, columns.T, upper=False)
        change = torch.linalg.solve_triangular(factor, self.weights[:, own].T, upper=False)
        self.weights -= change.T @ gone
        self.weights[:, own] = 0
        parts = gone.T[self.columns]
        self.blocks -= parts @ parts.mT
        self.factors = torch.cat([self.factors, gone.T], 1)
        if self.factors.shape[1] >= GATHERED:
            self.inverse -= self.factors @ self.factors.T
            self.factors = self.factors[:, :0]
