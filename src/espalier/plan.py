"""A pruning plan: which channels stay, and which slices of which tensors that means. Pure data, JSON in and out."""

import dataclasses
import json
from dataclasses import dataclass, field
from typing import Any

from espalier.errors import PlanError
from espalier.notebook import bar, table


@dataclass(frozen=True)
class Cut:
    """The positions of one axis of one tensor that stay, ascending."""

    tensor: str
    """Name of the parameter or buffer in the network's `named_parameters` / `named_buffers`."""
    dim: int
    size: int
    """Length of the axis before the cut."""
    kept: tuple[int, ...]


@dataclass(frozen=True)
class Relink:
    """An integer kept in a module's Python attribute that follows a cut."""

    module: str
    """Name of the module in `named_modules` ("" is the network itself)."""
    attribute: str
    path: tuple[int, ...]
    """Where inside nested tuples or lists the integer stands; empty when the attribute is the integer."""
    old: int
    new: int


@dataclass(frozen=True)
class Choice:
    """What was decided for one channel group."""

    group: str
    channels: int
    kept: tuple[int, ...]


@dataclass(frozen=True)
class PrunePlan:
    """Everything needed to cut a network down, and why; applying it needs no trace."""

    cuts: tuple[Cut, ...]
    relinks: tuple[Relink, ...] = ()
    choices: tuple[Choice, ...] = ()
    notes: dict[str, Any] = field(default_factory=dict)
    """Free JSON-able facts: method, criterion, budget, achieved cost."""

    def to_json(self) -> str:
        return json.dumps(dataclasses.asdict(self), separators=(",", ":"))

    @staticmethod
    def from_json(text: str) -> "PrunePlan":
        """Read a plan back.

        Raises:
            PlanError: `text` is not a plan written by `to_json`.
        """
        try:
            data = json.loads(text)
            return PrunePlan(
                cuts=tuple(Cut(c["tensor"], c["dim"], c["size"], tuple(c["kept"])) for c in data["cuts"]),
                relinks=tuple(
                    Relink(r["module"], r["attribute"], tuple(r["path"]), r["old"], r["new"])
                    for r in data["relinks"]
                ),
                choices=tuple(Choice(c["group"], c["channels"], tuple(c["kept"])) for c in data["choices"]),
                notes=data.get("notes", {}),
            )
        except (ValueError, KeyError, TypeError) as error:
            raise PlanError(
                f"this is not a pruning plan ({error!r}); expected JSON with cuts and choices"
            ) from error

    def explain(self) -> str:
        """One line per group that lost channels, the largest cuts first."""
        lost = sorted(
            (c for c in self.choices if len(c.kept) < c.channels), key=lambda c: len(c.kept) / c.channels
        )
        lines = [f"{c.group}: {len(c.kept)} of {c.channels} channels stay" for c in lost]
        lines.append(f"{len(self.choices) - len(lost)} of {len(self.choices)} groups untouched")
        return "\n".join(lines)

    def _repr_html_(self) -> str:
        """What stays of every group, for notebooks."""
        lines = [
            (c.group, len(c.kept), c.channels, bar(len(c.kept) / c.channels))
            for c in self.choices
            if c.channels
        ]
        kept, total = sum(len(c.kept) for c in self.choices), sum(c.channels for c in self.choices)
        told = (f"{key} {self.notes[key]}" for key in ("method", "budget") if key in self.notes)
        note = ", ".join(
            [*told, f"proven to {self.notes['proof']:.0e}" if "proof" in self.notes else "not proven"]
        )
        return table(f"{kept:,} of {total:,} channels stay", ("Group", "Kept", "Of", ""), lines, note=note)
