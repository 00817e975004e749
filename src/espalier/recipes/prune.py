"""From a dense network to a smaller one: trace, budget, method."""

import dataclasses
from dataclasses import dataclass

from espalier.allocation import Budget, strategy
from espalier.costs import count
from espalier.data import PackedImages
from espalier.importance import criterion
from espalier.methods.job import Job, method
from espalier.networks.network import Network
from espalier.recipes.inspect import trace


@dataclass(frozen=True)
class Request:
    """What is wanted of pruning, in words."""

    budget: str
    method: str
    criterion: str
    allocation: str
    round_to: int
    protect: tuple[str, ...]
    seed: int

    def __post_init__(self) -> None:
        """Every name is looked up before anything slow begins."""
        Budget.parse(self.budget)
        method(self.method)
        criterion(self.criterion)
        strategy(self.allocation)


def prune(dense: Network, request: Request, images: PackedImages) -> Network:
    """A smaller copy of a prepared network; its plan tells how it came about.

    Raises:
        PlanError: nothing can be pruned, or the budget cannot be met.
    """
    found, cost = trace(dense), count(dense)
    job = Job(
        network=dense,
        channels=found,
        cost=found.cost.at_size({layer.name: layer.macs for layer in cost.layers}),
        budget=Budget.parse(request.budget),
        criterion=request.criterion,
        allocation=request.allocation,
        round_to=request.round_to,
        protect=request.protect,
        images=images,
        seed=request.seed,
    )
    pruned = method(request.method)(job)
    achieved = count(pruned)
    notes = dataclasses.asdict(request) | {
        "macs": achieved.macs / cost.macs,
        "params": achieved.params / cost.params,
    }
    last = pruned.plans[-1]
    plan = dataclasses.replace(last, notes=last.notes | notes | {"protect": list(request.protect)})
    pruned.plans = (*pruned.plans[:-1], plan)
    return pruned
