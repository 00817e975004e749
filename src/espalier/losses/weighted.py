"""A weighted list of losses, each against the HR image or against what a teacher makes of the LR image."""

import difflib
import importlib
import math
import pkgutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import Tensor

from espalier.errors import EspalierError

Loss = Callable[[Tensor, Tensor], Tensor]
"""(output, target), both (N, 3, H, W) RGB in 0..1 -> scalar."""


class LossError(EspalierError):
    """A loss is unknown, or its weight is no number."""


@dataclass(frozen=True)
class Term:
    """One loss of the list."""

    name: str
    weight: float
    loss: Loss
    teacher: bool = False
    """Compare with the teacher's output instead of the HR image."""


def names() -> list[str]:
    """All losses there are: the files of this package that have a `build`."""
    files = (module.name for module in pkgutil.iter_modules([str(Path(__file__).parent)]))
    return sorted(name for name in files if name != "weighted")


def terms(
    weights: Mapping[str, float], options: Mapping[str, Mapping[str, Any]] | None = None
) -> tuple[Term, ...]:
    """Build the list from `{"l1": 1.0, "teacher": 0.5, "teacher-mse": 0.1}`; weight 0 leaves a loss out.

    "teacher" is L1 against the teacher's output; "teacher-NAME" is any other loss against it.

    Raises:
        LossError: no such loss, or no loss with a weight above 0.
    """
    built = []
    for name, weight in weights.items():
        if not math.isfinite(weight) or weight < 0:
            raise LossError(f"the weight of loss {name!r} is {weight}; expected a number from 0 up")
        teacher = name == "teacher" or name.startswith("teacher-")
        plain = (name.removeprefix("teacher").removeprefix("-") or "l1") if teacher else name
        if weight > 0:
            built.append(Term(name, weight, _build(plain, (options or {}).get(plain, {})), teacher))
    if not built:
        raise LossError(f"no loss has a weight above 0 in {dict(weights)}; give for example l1=1")
    return tuple(built)


def _build(name: str, options: Mapping[str, Any]) -> Loss:
    known = names()
    if name not in known:
        near = difflib.get_close_matches(name, known, 1)
        hint = f"did you mean {near[0]!r}?" if near else f"there are {', '.join(known)}"
        raise LossError(f"no loss is called {name!r}; {hint}")
    return importlib.import_module(f"espalier.losses.{name}").build(**options)


def parse(text: str) -> dict[str, float]:
    """Read "l1=1,teacher=0.5"; a name alone has weight 1.

    Raises:
        LossError: a weight is no number.
    """
    weights: dict[str, float] = {}
    for part in filter(None, (part.strip() for part in text.split(","))):
        name, _, number = part.partition("=")
        try:
            weights[name.strip()] = float(number or 1)
        except ValueError:
            message = f"{part!r} in {text!r} is no loss with a weight; write for example l1=1"
            raise LossError(message) from None
    return weights
