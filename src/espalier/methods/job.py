"""What a pruning method is asked for, and finding the method by its folder's name.

A method `x` is a folder `methods/x` whose package has a function `prune(job: Job) -> Network`: one that cuts
channels returns a network with one plan more, made by `job.channels`; one that zeroes single weights returns a
network with `masks`. A method that learns trains by `job.train`, through the hooks of `methods/protocol.py`.
It may have `OPTIONS`, a frozen pydantic model of what only it can be told, and `BUDGETS`.
"""

import copy
import difflib
import importlib
import pkgutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType
from typing import Any, Literal, Protocol

from pydantic import BaseModel, ValidationError
from torch import nn

from espalier.allocation import Budget
from espalier.channels import Channels
from espalier.channels.cost import CostModel
from espalier.data import PackedImages
from espalier.errors import PlanError
from espalier.methods import protocol
from espalier.networks.network import Network
from espalier.plan import PrunePlan
from espalier.surgery import apply_, apply_to_state

Optimizer = Literal["adam", "soap"]


@dataclass(frozen=True)
class Phase:
    """A stretch of training that a method asks for."""

    name: str
    """Unlike that of the method's other phases: a run that was interrupted finds its checkpoints by it."""
    steps: int
    losses: Mapping[str, float] = field(default_factory=lambda: {"l1": 1.0})
    """Weights by name; "teacher" compares with the dense network's output."""
    lr: float | None = None
    """None for the run's."""
    schedule: Literal["constant", "cosine"] = "constant"
    optimizer: Optimizer = "adam"


class Train(Protocol):
    """Trains in place on the run's images; a phase that was finished before an interruption is only restored."""

    def __call__(self, network: Network, phase: Phase, method: protocol.Method) -> None: ...


def untrained(network: Network, phase: Phase, method: protocol.Method) -> None:
    """Stands where there is nothing to train with.

    Raises:
        PlanError: always.
    """
    del network, method
    raise PlanError(
        f"the phase {phase.name!r} of this method trains, and there is nothing to train with here"
    )


def untold(line: str) -> None:
    """Stands where nobody watches."""
    del line


def unmeasured(network: nn.Module) -> float:
    """Stands where there is nothing to measure on."""
    del network
    return float("nan")


@dataclass(frozen=True)
class Job:
    """One network to prune; nothing in it is changed."""

    network: Network
    """Dense and prepared."""
    channels: Channels
    """Of the network's body, proven."""
    cost: CostModel
    """At the image size that the budget speaks of."""
    budget: Budget
    criterion: str
    allocation: str
    round_to: int
    protect: tuple[str, ...]
    images: PackedImages
    """For methods that look at data."""
    seed: int
    options: Any = None
    """An instance of the method's `OPTIONS`, where it has them."""
    train: Train = untrained
    score: Callable[[nn.Module], float] = unmeasured
    """Mean PSNR on a few images that are not trained on."""
    tell: Callable[[str], None] = untold
    """Shows what is being done, and the quality so far."""


Method = Callable[[Job], Network]


def methods() -> list[str]:
    """Names of all pruning methods."""
    folder = Path(__file__).parent
    return sorted(info.name for info in pkgutil.iter_modules([str(folder)]) if info.ispkg)


def method(name: str) -> Method:
    """The method of this name.

    Raises:
        PlanError: there is none.
    """
    return _package(name).prune


def default_allocation(name: str) -> str:
    """The strategy of `espalier.allocation` that suits a method's scores."""
    return getattr(_package(name), "ALLOCATION", "global")


def check_budget(name: str, budget: Budget) -> None:
    """Whether a method can be held to a budget of this kind.

    Raises:
        PlanError: it cannot; the message names the kinds that it takes.
    """
    kinds = getattr(_package(name), "BUDGETS", None)
    if kinds is None and budget.kind == "sparsity":
        raise PlanError(f"{name} removes channels; the budget {budget} counts single weights: give macs=0.5")
    if kinds is not None and budget.kind not in kinds:
        raise PlanError(f"{name} takes a budget of {' or '.join(kinds)}, got {budget}")


def options(name: str, given: Mapping[str, Any]) -> BaseModel | None:
    """The method's own options, checked; none where it has none.

    Raises:
        PlanError: an option that the method does not have, or a value that it cannot take.
    """
    model: type[BaseModel] | None = getattr(_package(name), "OPTIONS", None)
    if model is None:
        if given:
            raise PlanError(f"{name} has no options, got {', '.join(given)}")
        return None
    for key in given:
        near = difflib.get_close_matches(key, model.model_fields, 1)
        if key not in model.model_fields:
            hint = f"did you mean {near[0]!r}?" if near else f"it has {', '.join(model.model_fields)}"
            raise PlanError(f"{name} has no option {key!r}; {hint}")
    try:
        return model.model_validate(dict(given))
    except ValidationError as error:
        wrong = "; ".join(f"{e['loc'][0] if e['loc'] else name}: {e['msg']}" for e in error.errors())
        raise PlanError(f"options of {name}: {wrong}") from error


def _package(name: str) -> ModuleType:
    known = methods()
    if name not in known:
        near = difflib.get_close_matches(name, known, 1)
        hint = f"did you mean {near[0]!r}?" if near else f"there are {', '.join(known)}"
        raise PlanError(f"no pruning method is called {name!r}; {hint}")
    return importlib.import_module(f"espalier.methods.{name}")


def cut(network: Network, plan: PrunePlan) -> Network:
    """A copy of `network`, cut as `plan` says."""
    smaller = copy.deepcopy(network)
    apply_(smaller.body, plan)
    smaller.masks = apply_to_state(smaller.masks, plan)
    smaller.plans = (*smaller.plans, plan)
    return smaller
