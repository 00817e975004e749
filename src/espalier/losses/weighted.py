"""A weighted list of losses, each against the HR image or against what a teacher makes of the LR image."""

import difflib
import importlib
import inspect
import math
import pkgutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import Tensor

from espalier.errors import EspalierError

Loss = Callable[[Tensor, Tensor], Tensor]
"""(output, target), both (N, 3, H, W) RGB in 0..1 -> scalar."""


class LossError(EspalierError):
    """A loss or an option of it is unknown, or a weight is no number."""


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

    "teacher" is L1 against the teacher's output; "teacher-NAME" is any other loss against it. `options` go to
    `build` of the loss that they are named after.

    Raises:
        LossError: no such loss, option or loss for an option, or no loss with a weight above 0.
    """
    built, options = [], dict(options or {})
    unused = sorted(set(options) - {_plain(name) for name in weights})
    if unused:
        raise LossError(f"there are options for {unused[0]!r}, which is not among the losses {list(weights)}")
    for name, weight in weights.items():
        if not math.isfinite(weight) or weight < 0:
            raise LossError(f"the weight of loss {name!r} is {weight}; expected a number from 0 up")
        plain = _plain(name)
        if weight > 0:
            built.append(Term(name, weight, _build(plain, options.get(plain, {})), plain != name))
    if not built:
        raise LossError(f"no loss has a weight above 0 in {dict(weights)}; give for example l1=1")
    return tuple(built)


def option_types(name: str) -> dict[str, Any]:
    """The options of a loss, each with what it must be.

    Raises:
        LossError: no such loss.
    """
    parameters = inspect.signature(_builder(name)).parameters.values()
    return {parameter.name: parameter.annotation for parameter in parameters}


def _plain(name: str) -> str:
    """What a term computes, whatever it compares with."""
    if name != "teacher" and not name.startswith("teacher-"):
        return name
    return name.removeprefix("teacher").removeprefix("-") or "l1"


def _build(name: str, options: Mapping[str, Any]) -> Loss:
    build, known = _builder(name), list(option_types(name))
    for option in options:
        if option not in known:
            raise LossError(f"the loss {name!r} has no option {option!r}; {_hint(option, known)}")
    return build(**options)


def _builder(name: str) -> Callable[..., Loss]:
    if name not in names():
        raise LossError(f"no loss is called {name!r}; {_hint(name, names())}")
    return importlib.import_module(f"espalier.losses.{name}").build


def _hint(name: str, known: Sequence[str]) -> str:
    near = difflib.get_close_matches(name, known, 1)
    return f"did you mean {near[0]!r}?" if near else f"there are {', '.join(known) or 'none'}"


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
