"""From a dense network to a smaller one: trace, budget, method."""

import dataclasses
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from torch import nn

from espalier.allocation import Budget, strategy
from espalier.allocation.family import sized, within
from espalier.channels import Channels
from espalier.costs import count
from espalier.data import PackedImages
from espalier.errors import PlanError
from espalier.importance import criterion
from espalier.methods.job import (
    Job,
    Train,
    check_budget,
    default_allocation,
    method,
    options,
    unmeasured,
    untrained,
)
from espalier.networks.family import widths
from espalier.networks.network import Network
from espalier.plan import PrunePlan
from espalier.recipes.console import telling
from espalier.recipes.family import rejoin
from espalier.recipes.inspect import trace
from espalier.recipes.timing import check_runtime, cost_model, lanes, shares
from espalier.sparsity import apply_


@dataclass(frozen=True)
class Request:
    """What is wanted of pruning, in words."""

    budget: str
    method: str
    criterion: str
    allocation: str | None
    """None for what suits the method."""
    round_to: int | None
    """None for what the device computes at once where the budget is a time, 1 otherwise."""
    protect: tuple[str, ...]
    seed: int
    keep_architecture: bool = False
    """Only cuts after which the network is a plain, narrower member of its architecture."""
    options: Mapping[str, Any] = field(default_factory=dict)
    """The method's own."""
    heads: bool = False
    """Whole attention heads go, instead of all of them getting narrower."""
    latency_runtime: str = "torch"
    """Where layers are timed for a latency budget."""

    def __post_init__(self) -> None:
        """Every name is looked up before anything slow begins."""
        check_budget(self.method, Budget.parse(self.budget))
        options(self.method, self.options)
        criterion(self.criterion)
        check_runtime(self.latency_runtime)
        if self.allocation is not None:
            strategy(self.allocation)


@dataclass(frozen=True)
class Pruned:
    """A smaller network and how it came about."""

    network: Network
    plan: PrunePlan | None
    """None where single weights became zero and nothing was cut."""


@dataclass(frozen=True)
class Training:
    """How a method that learns may train, and measure itself."""

    train: Train = untrained
    score: Callable[[nn.Module], float] = unmeasured


def prune(dense: Network, request: Request, images: PackedImages, training: Training | None = None) -> Pruned:
    """A smaller copy of a prepared network.

    Raises:
        PlanError: nothing can be pruned, the budget cannot be met, or the architecture cannot be kept.
    """
    found, cost = trace(dense, heads=request.heads), count(dense)
    sizes = sized(found, widths(dense)) if request.keep_architecture else []
    job = _job(dense, found, request, images, training or Training())
    if sizes:
        job = dataclasses.replace(job, channels=within(found, sizes))
    with telling() as tell:
        pruned = method(request.method)(dataclasses.replace(job, tell=tell))
    apply_(pruned, pruned.masks)  # a sparse network whose channels were cut and refitted stays sparse
    if len(pruned.plans) == len(dense.plans):
        return Pruned(pruned, None)
    achieved = count(pruned)
    notes = dataclasses.asdict(request) | {
        "allocation": job.allocation,
        "round_to": job.round_to,
        "predicted": predicted(job, pruned.plans[-1]),
        "proof": _proven(job.channels, pruned.plans[-1]),
        "macs": achieved.macs / cost.macs,
        "params": achieved.params / cost.params,
    }
    last = pruned.plans[-1]
    plan = dataclasses.replace(last, notes=last.notes | notes | {"protect": list(request.protect)})
    pruned.plans = (*pruned.plans[:-1], plan)
    return Pruned(rejoin(dense, pruned, found, sizes) if sizes else pruned, plan)


def _job(dense: Network, found: Channels, request: Request, images: PackedImages, training: Training) -> Job:
    """The request as a method reads it, with the cost model that its budget needs."""
    budget = Budget.parse(request.budget)
    round_to = request.round_to or (lanes(dense) if budget.kind == "latency" else 1)
    return Job(
        network=dense,
        channels=found,
        cost=cost_model(
            dense, found, budget, request.latency_runtime, round_to=round_to, protect=request.protect
        ),
        budget=budget,
        criterion=request.criterion,
        allocation=request.allocation or default_allocation(request.method),
        round_to=round_to,
        protect=request.protect,
        images=images,
        seed=request.seed,
        options=options(request.method, request.options),
        train=training.train,
        score=training.score,
    )


def predicted(job: Job, plan: PrunePlan) -> float:
    """Share of the dense network's cost, of the budget's kind, that the cost model expects after this plan."""
    curve = job.cost.of("macs" if job.budget.kind == "ratio" else job.budget.kind)
    kept = shares(job.cost, plan)
    return curve(kept) / curve(np.ones(len(kept)))


def _proven(channels: Channels, plan: PrunePlan) -> float:
    """The largest relative difference between the network cut by this very plan and its masked twin, in float64.

    Raises:
        PlanError: they differ; groups that were each proven contradict one another in this combination.
    """
    verdict = channels.check({choice.group: choice.kept for choice in plan.choices})
    if not verdict.equal:
        raise PlanError(
            f"this cut could not be proven right ({verdict.reason}); nothing was changed. Try another budget or "
            "allocation, or --protect what `espalier inspect` lists for the module named"
        )
    return verdict.difference
