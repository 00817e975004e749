"""What a channel costs the image, per MAC (or parameter, or millisecond) that its loss saves."""

from collections.abc import Mapping
from itertools import pairwise

import numpy as np

from espalier.allocation import Budget
from espalier.calibration import Elimination
from espalier.channels.cost import CostModel, Curve

POINTS = 16
"""Widths of a group at which its savings are computed; between them they grow evenly."""
TINY = np.finfo(float).tiny


def prices(
    found: Mapping[str, Elimination], cost: CostModel, budget: Budget, round_to: int = 1
) -> dict[str, np.ndarray]:
    """Group name -> one price per channel, ascending in the order in which the channels go.

    The price is damage per saving along the lower convex hull of both: channels whose loss saves nothing by itself,
    as where the time of a layer falls in steps, go at the price of the step that they lead to.
    """
    curve = cost.of(budget.kind) if budget.kind not in ("ratio", "sparsity") else cost.macs
    whole = np.ones(len(cost.names))
    middle = whole * (1 + min(1.0, budget.limit(curve(whole)) / curve(whole)) ** 0.5) / 2
    result = {}
    for name, elimination in found.items():
        count = len(elimination.order)
        stops = _stops(count, round_to)
        saved = _savings(curve, middle, cost.names.index(name), stops / count)
        damage = np.concatenate([[0.0], np.cumsum(np.maximum(np.diff(elimination.damage, prepend=0.0), 0.0))])
        slopes = _hull(saved, damage[stops])
        rank = np.arange(count)  # equal prices would leave the order to chance
        steps = slopes[np.searchsorted(stops, rank, side="right") - 1]
        values = np.empty(count)
        values[elimination.order] = steps * (1 + 1e-9 * rank) + TINY * rank
        result[name] = values
    return result


def _stops(count: int, round_to: int) -> np.ndarray:
    """Numbers of lost channels that may be chosen, from none to all."""
    step = round_to if round_to < count else 1
    return np.unique([0, *range(count % step, count + 1, step)])


def _savings(curve: Curve, middle: np.ndarray, group: int, gone: np.ndarray) -> np.ndarray:
    """What is saved when this group alone loses these shares, the others being half-way to the budget.

    Savings depend on what else is cut: a convolution costs its inputs times its outputs.
    """
    picked = gone[np.unique(np.linspace(0, len(gone) - 1, POINTS + 1).astype(int))]
    costs = []
    for share in picked:
        kept = middle.copy()
        kept[group] = 1 - share
        costs.append(curve(kept))
    return np.interp(gone, picked, costs[0] - np.array(costs))


def _hull(saved: np.ndarray, damage: np.ndarray) -> np.ndarray:
    """Slope of the lower convex hull of damage over saving, for each stretch between two points, ascending."""
    corners = [0]
    for point in range(1, len(saved)):
        while len(corners) > 1 and _slope(saved, damage, corners[-1], point) <= _slope(
            saved, damage, corners[-2], corners[-1]
        ):
            corners.pop()
        corners.append(point)
    slopes = np.empty(len(saved))
    for first, last in pairwise(corners):
        slopes[first:last] = _slope(saved, damage, first, last)
    slopes[-1] = slopes[-2] if len(slopes) > 1 else 0.0
    return slopes


def _slope(saved: np.ndarray, damage: np.ndarray, first: int, last: int) -> float:
    return (damage[last] - damage[first]) / max(saved[last] - saved[first], TINY)
