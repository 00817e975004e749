"""Scores and a budget -> how many channels of each group stay, and which.

A strategy is one file with a function `keys(unit, scores)`: the price of taking the first, second, ... level from
a unit, ascending. Levels go in the order of price until the budget is met.
"""

import importlib
import pkgutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from espalier.allocation.budget import Budget
from espalier.allocation.units import units
from espalier.channels import Channels, Unit
from espalier.channels.cost import CostModel
from espalier.errors import PlanError

Keys = Callable[[Unit, dict[str, np.ndarray]], np.ndarray]


def strategies() -> list[str]:
    """Names of all ways to spread a budget."""
    names = (info.name for info in pkgutil.iter_modules(__path__))
    return sorted(name.rstrip("_") for name in names if name not in ("budget", "family", "units"))


def strategy(name: str) -> Keys:
    """The strategy of this name.

    Raises:
        PlanError: there is none.
    """
    if name not in strategies():
        raise PlanError(f"there is no allocation {name!r}; choose one of {', '.join(strategies())}")
    module = f"{__name__}.{name}_" if name == "global" else f"{__name__}.{name}"
    return importlib.import_module(module).keys


def allocate(
    channels: Channels,
    scores: dict[str, np.ndarray],
    budget: Budget,
    *,
    by: str = "global",
    round_to: int = 1,
    protect: Sequence[str] = (),
    cost: CostModel | None = None,
) -> dict[str, list[int]]:
    """Choose the channels that stay: group name -> channels, ascending; the largest choice within the budget.

    Args:
        scores: for each prunable group one number per channel; the lowest go first.
        by: the strategy that spreads the budget over the groups.
        round_to: keep multiples of this many channels, where a group is cut at all.
        protect: patterns of tensor names whose groups stay whole.
        cost: the cost model at the wanted image size; at the traced size by default.

    Raises:
        PlanError: nothing can be pruned, or the budget cannot be met; the message names the least cost possible.
    """
    price = strategy(by)
    model = cost or channels.cost
    decided = units(channels.groups, protect)
    if not decided:
        raise PlanError("no channel group of this network can be pruned; `espalier inspect` says why")
    search = _Search(decided, model, budget, round_to)
    levels = search.run([price(unit, scores) for unit in decided])
    return choose(decided, levels, scores)


def choose(
    decided: Sequence[Unit], levels: Sequence[int], scores: Mapping[str, np.ndarray]
) -> dict[str, list[int]]:
    """The channels with the highest scores, as many as each unit's level says; whole groups are left out."""
    kept = {}
    for unit, level in zip(decided, levels, strict=True):
        if level < unit.levels:
            for group, count in zip(unit.groups, unit.counts(level), strict=True):
                best = np.argsort(-scores[group.name], kind="stable")[:count]
                kept[group.name] = sorted(best.tolist())
    return kept


@dataclass
class _Search:
    """Takes the cheapest steps until the cost fits, then gives back what still fits."""

    decided: Sequence[Unit]
    model: CostModel
    budget: Budget
    round_to: int

    def __post_init__(self) -> None:
        index = {name: k for k, name in enumerate(self.model.names)}
        self.columns = [[index[group.name] for group in unit.groups] for unit in self.decided]
        self.levels = [unit.steps(self.round_to) for unit in self.decided]
        self.tops = np.array([unit.levels for unit in self.decided])
        self.channels = np.array([sum(group.channels for group in unit.groups) for unit in self.decided])

    def run(self, prices: Sequence[np.ndarray]) -> list[int]:
        steps = self._steps(prices)
        limit = self.budget.limit(self._cost(np.zeros(len(self.decided), dtype=int)))
        taken = self._fewest(steps, limit)
        at = self._after(steps[:taken])
        for unit in reversed(steps[:taken]):  # the step over the limit may have been a large one
            trial = at.copy()
            trial[unit] -= 1
            if at[unit] > 0 and self._cost(trial) <= limit:
                at = trial
        return [levels[k] for levels, k in zip(self.levels, at, strict=True)]

    def _steps(self, prices: Sequence[np.ndarray]) -> list[int]:
        """Units in the order in which each goes down one level."""
        entries = []
        for k, (price, levels) in enumerate(zip(prices, self.levels, strict=True)):
            top = levels[0]
            reached = np.maximum.accumulate([price[top - level - 1] for level in levels[1:]] or [0.0])
            entries += [(float(p), step, k) for step, p in enumerate(reached[: len(levels) - 1])]
        return [k for _, _, k in sorted(entries)]

    def _after(self, steps: Sequence[int]) -> np.ndarray:
        return np.bincount(np.array(steps, dtype=int), minlength=len(self.decided))

    def _cost(self, at: np.ndarray) -> float:
        shares = np.array([levels[k] for levels, k in zip(self.levels, at, strict=True)]) / self.tops
        if self.budget.kind == "ratio":
            return float((shares * self.channels).sum())
        kept = np.ones(len(self.model.names))
        for columns, share in zip(self.columns, shares, strict=True):
            kept[columns] = share
        return self.model.of(self.budget.kind)(kept)

    def _fewest(self, steps: list[int], limit: float) -> int:
        low, high = 0, len(steps)
        least = self._cost(self._after(steps))
        if least > limit:
            whole = self._cost(self._after([]))
            raise PlanError(
                f"the budget {self.budget} cannot be met: the proven groups allow {least / whole:.3f} of the dense "
                f"{self.budget.kind} at least; ask for more, or let --round-to and --protect bind less"
            )
        while low < high:
            middle = (low + high) // 2
            low, high = (
                (low, middle) if self._cost(self._after(steps[:middle])) <= limit else (middle + 1, high)
            )
        return low


__all__ = ["Budget", "Unit", "allocate", "choose", "strategies", "strategy", "units"]
