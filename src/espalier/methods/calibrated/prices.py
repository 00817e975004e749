"""What a channel costs the image, per MAC (or parameter) that its loss saves."""

from collections.abc import Mapping

import numpy as np

from espalier.allocation import Budget
from espalier.calibration import Elimination
from espalier.channels.cost import CostModel

TINY = np.finfo(float).tiny


def prices(found: Mapping[str, Elimination], cost: CostModel, budget: Budget) -> dict[str, np.ndarray]:
    """Group name -> one price per channel, ascending in the order in which the channels go."""
    savings = savings_of(cost, budget)
    result = {}
    for name, elimination in found.items():
        steps = np.diff(elimination.damage, prepend=0.0)
        saved = max(savings[name] / len(steps), TINY)
        rank = np.arange(len(steps))  # equal prices would leave the order to chance
        ascending = np.maximum.accumulate(np.maximum(steps, 0.0)) / saved * (1 + 1e-9 * rank) + TINY * rank
        values = np.empty(len(steps))
        values[elimination.order] = ascending
        result[name] = values
    return result


def savings_of(cost: CostModel, budget: Budget) -> dict[str, float]:
    """Group name -> what losing all its channels would save at the rate found half-way to the budget.

    Savings depend on what else is cut: a convolution costs its inputs times its outputs.
    """
    terms = getattr(cost, budget.kind, cost.macs)
    whole = np.ones(len(cost.names))
    share = min(1.0, budget.limit(terms(whole)) / terms(whole))
    middle = whole * (1 + share**0.5) / 2
    here = terms(middle)
    saved = {}
    for k, name in enumerate(cost.names):
        less = middle.copy()
        less[k] -= 1e-3
        saved[name] = (here - terms(less)) * 1e3
    return saved
