"""Budgets: how much of what may stay."""

import re
from dataclasses import dataclass

from espalier.errors import PlanError

KINDS = ("macs", "params", "activations", "memory", "latency", "ratio", "sparsity")
GONE = ("ratio", "sparsity")
"""Kinds that say what goes."""
SIZED = ("macs", "activations", "memory", "latency")
"""Kinds that depend on the image."""
_COUNTS = {"": 1.0, "k": 1e3, "m": 1e6, "g": 1e9, "t": 1e12}
_BYTES = {f"{prefix}b": value for prefix, value in _COUNTS.items()} | {
    "kib": 2.0**10,
    "mib": 2.0**20,
    "gib": 2.0**30,
}
_TIMES = {"": 1.0, "ms": 1.0, "s": 1e3}
_EXPECTED = (
    "expected macs=0.5, params=0.5, activations=0.5, memory=0.5 or latency=0.5 (the share that stays, between 0 "
    "and 1), macs=20G, params=300K, memory=200MB or latency=20ms, for another image than 1280x720 with its size "
    "as latency=20ms@1920x1080; or ratio=0.5 (the share of channels that goes), or sparsity=0.9 (the share of "
    "single weights that become zero)"
)
_FORM = r"([a-z]+)=([0-9.]+(?:e[+-]?\d+)?)([a-z]*)(?:@(\d+)x(\d+))?"


@dataclass(frozen=True)
class Budget:
    """An upper bound on one kind of cost."""

    kind: str
    value: float
    """Share of the dense network's cost below 1; otherwise MACs, parameters, activations or bytes."""
    milliseconds: bool = False
    """Whether the value is a time."""
    size: tuple[int, int] | None = None
    """Height and width of the image that the network makes, where it is not the usual one."""

    @staticmethod
    def parse(text: str) -> "Budget":
        """Read "macs=0.5", "params=300K", "memory=200MB", "latency=20ms@1280x720", "ratio=0.5".

        Raises:
            PlanError: anything else.
        """
        found = re.fullmatch(_FORM, "".join(text.lower().split()))
        units = _units(found[1]) if found else {}
        if found is None or found[1] not in KINDS or found[3] not in units:
            raise PlanError(f"cannot read the budget {text!r}; {_EXPECTED}")
        kind, number, unit, width, height = found.groups()
        try:
            value = float(number) * units[unit]
        except ValueError as error:
            raise PlanError(f"cannot read the number in the budget {text!r}; {_EXPECTED}") from error
        size = (int(height), int(width)) if width else None
        if not _in_range(kind, value, unit) or (size and (kind not in SIZED or min(size) < 1)):
            raise PlanError(f"the budget {text!r} is out of range; {_EXPECTED}")
        return Budget(kind, value, kind == "latency" and bool(unit), size)

    def limit(self, dense: float) -> float:
        """The largest cost allowed, in the units of `dense`, the whole network's cost."""
        if self.kind in GONE:
            return (1 - self.value) * dense
        return self.value * dense if self.value < 1 and not self.milliseconds else self.value

    def __str__(self) -> str:
        size = f"@{self.size[1]}x{self.size[0]}" if self.size else ""
        return f"{self.kind}={self.value:g}{'ms' * self.milliseconds}{size}"


def _units(kind: str) -> dict[str, float]:
    return {"memory": _COUNTS | _BYTES, "latency": _TIMES, "ratio": {"": 1.0}, "sparsity": {"": 1.0}}.get(
        kind, _COUNTS
    )


def _in_range(kind: str, value: float, unit: str) -> bool:
    if value <= 0:
        return False
    if kind == "latency":
        return bool(unit) or value < 1
    return value < 1 or (kind not in GONE and (bool(unit) or value >= 1000))
