"""What a pruning method is asked for, and finding the method by its folder's name.

A method `x` is a folder `methods/x` whose package has a function `prune(job: Job) -> Network`.
"""

import copy
import difflib
import importlib
import pkgutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from espalier.allocation import Budget
from espalier.channels import Channels
from espalier.channels.cost import CostModel
from espalier.data import PackedImages
from espalier.errors import PlanError
from espalier.networks.network import Network
from espalier.plan import PrunePlan
from espalier.surgery import apply_


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
    known = methods()
    if name not in known:
        near = difflib.get_close_matches(name, known, 1)
        hint = f"did you mean {near[0]!r}?" if near else f"there are {', '.join(known)}"
        raise PlanError(f"no pruning method is called {name!r}; {hint}")
    return importlib.import_module(f"espalier.methods.{name}").prune


def default_allocation(name: str) -> str:
    """The strategy of `espalier.allocation` that suits a method's scores."""
    return getattr(importlib.import_module(f"espalier.methods.{name}"), "ALLOCATION", "global")


def cut(network: Network, plan: PrunePlan) -> Network:
    """A copy of `network`, cut as `plan` says."""
    smaller = copy.deepcopy(network)
    apply_(smaller.body, plan)
    smaller.plans = (*smaller.plans, plan)
    return smaller
