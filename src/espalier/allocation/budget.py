"""Budgets: how much of what may stay."""

import re
from dataclasses import dataclass

from espalier.errors import PlanError

KINDS = ("macs", "params", "ratio", "sparsity")
_UNITS = {"": 1.0, "k": 1e3, "m": 1e6, "g": 1e9, "t": 1e12}
_EXPECTED = (
    "expected macs=0.5 or params=0.5 (the share that stays, between 0 and 1), macs=20G or params=300K, "
    "ratio=0.5 (the share of channels that goes), or sparsity=0.9 (the share of single weights that become zero)"
)


@dataclass(frozen=True)
class Budget:
    """An upper bound on one kind of cost."""

    kind: str
    value: float
    """Share of the dense network's cost below 1; otherwise a number of MACs or parameters."""

    @staticmethod
    def parse(text: str) -> "Budget":
        """Read "macs=0.5", "params=300K", "ratio=0.5".

        Raises:
            PlanError: anything else.
        """
        found = re.fullmatch(r"\s*([a-z]+)\s*=\s*([0-9.]+(?:e[+-]?\d+)?)\s*([kmgt]?)\s*", text.lower())
        if found is None or found[1] not in KINDS:
            raise PlanError(f"cannot read the budget {text!r}; {_EXPECTED}")
        try:
            value = float(found[2]) * _UNITS[found[3]]
        except ValueError as error:
            raise PlanError(f"cannot read the number in the budget {text!r}; {_EXPECTED}") from error
        if value <= 0 or (
            value >= 1 and (found[1] in ("ratio", "sparsity") or (not found[3] and value < 1000))
        ):
            raise PlanError(f"the budget {text!r} is out of range; {_EXPECTED}")
        return Budget(found[1], value)

    def limit(self, dense: float) -> float:
        """The largest cost allowed, in the units of `dense`, the whole network's cost."""
        if self.kind == "ratio":
            return (1 - self.value) * dense
        return self.value * dense if self.value < 1 else self.value

    def __str__(self) -> str:
        return f"{self.kind}={self.value:g}"
