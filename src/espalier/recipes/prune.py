"""From a dense network to a smaller one: trace, budget, method."""

import dataclasses
from dataclasses import dataclass

from espalier.allocation import Budget, strategy
from espalier.allocation.family import sized, within
from espalier.channels import Channels
from espalier.costs import count
from espalier.data import PackedImages
from espalier.errors import PlanError
from espalier.importance import criterion
from espalier.methods.job import Job, default_allocation, method
from espalier.networks.family import widths
from espalier.networks.network import Network
from espalier.plan import PrunePlan
from espalier.recipes.family import rejoin
from espalier.recipes.inspect import trace


@dataclass(frozen=True)
class Request:
    """What is wanted of pruning, in words."""

    budget: str
    method: str
    criterion: str
    allocation: str | None
    """None for what suits the method."""
    round_to: int
    protect: tuple[str, ...]
    seed: int
    keep_architecture: bool = False
    """Only cuts after which the network is a plain, narrower member of its architecture."""

    def __post_init__(self) -> None:
        """Every name is looked up before anything slow begins."""
        Budget.parse(self.budget)
        method(self.method)
        criterion(self.criterion)
        if self.allocation is not None:
            strategy(self.allocation)


@dataclass(frozen=True)
class Pruned:
    """A smaller network and how it came about."""

    network: Network
    plan: PrunePlan


def prune(dense: Network, request: Request, images: PackedImages) -> Pruned:
    """A smaller copy of a prepared network.

    Raises:
        PlanError: nothing can be pruned, the budget cannot be met, or the architecture cannot be kept.
    """
    found, cost = trace(dense), count(dense)
    sizes = sized(found, widths(dense)) if request.keep_architecture else []
    job = Job(
        network=dense,
        channels=within(found, sizes) if sizes else found,
        cost=found.cost.at_size({layer.name: layer.macs for layer in cost.layers}),
        budget=Budget.parse(request.budget),
        criterion=request.criterion,
        allocation=request.allocation or default_allocation(request.method),
        round_to=request.round_to,
        protect=request.protect,
        images=images,
        seed=request.seed,
    )
    pruned = method(request.method)(job)
    achieved = count(pruned)
    notes = dataclasses.asdict(request) | {
        "allocation": job.allocation,
        "proof": _proven(job.channels, pruned.plans[-1]),
        "macs": achieved.macs / cost.macs,
        "params": achieved.params / cost.params,
    }
    last = pruned.plans[-1]
    plan = dataclasses.replace(last, notes=last.notes | notes | {"protect": list(request.protect)})
    pruned.plans = (*pruned.plans[:-1], plan)
    return Pruned(rejoin(dense, pruned, found, sizes) if sizes else pruned, plan)


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
