"""Pruning in several rounds: budgets on the way, and the smaller network of each in the channels of the dense one."""

import copy
from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
from torch import Tensor, nn

from espalier.allocation import Budget, allocate
from espalier.channels import ChannelGroup, Member
from espalier.methods.job import Job, cut
from espalier.networks.network import Network
from espalier.plan import PrunePlan
from espalier.surgery import apply_to_state, scatter

Kept = Mapping[str, Sequence[int]]
"""Group -> channels of the dense network that stay; groups that stay whole are left out."""

ALMOST = 1 - 1e-9
"""The largest share that still is one: budgets from 1 up are absolute."""


def on_the_way(budget: Budget, dense: float, done: float) -> Budget:
    """The budget when this share of the way is done, linearly; `dense` is the whole network's cost."""
    if budget.kind == "ratio":
        return replace(budget, value=budget.value * done)
    share = min(ALMOST, budget.limit(dense) / dense)
    return replace(budget, value=1 - (1 - share) * done, milliseconds=False)


def budget_after(job: Job, done: float) -> Budget:
    """The job's budget when this share of the rounds is done."""
    if done >= 1:
        return job.budget
    whole = np.ones(len(job.cost.names))
    dense = 1.0 if job.budget.kind == "ratio" else job.cost.of(job.budget.kind)(whole)
    return on_the_way(job.budget, dense, done)


def next_kept(
    job: Job, scores: Mapping[str, np.ndarray], before: Kept, budget: Budget
) -> dict[str, list[int]]:
    """What stays of what is left; scores are of the dense network's channels, above 0.

    Raises:
        PlanError: nothing can be pruned, or the budget cannot be met.
    """
    left = {
        name: np.isin(np.arange(len(values)), before.get(name, range(len(values))))
        for name, values in scores.items()
    }
    masked = {name: np.where(left[name], values, 0.0) for name, values in scores.items()}
    kept = allocate(
        job.channels,
        masked,
        budget,
        by=job.allocation,
        round_to=job.round_to,
        protect=job.protect,
        cost=job.cost,
    )
    names = {*before, *kept}
    both = {n: [c for c in kept.get(n, before.get(n, ())) if left[n][c]] for n in names}
    return {n: channels or list(before[n]) for n, channels in both.items()}


def _marks(channels: int, kept: Sequence[int] | None) -> np.ndarray:
    marks = np.full(channels, kept is None)
    marks[list(kept or ())] = True
    return marks


def narrowed(groups: Sequence[ChannelGroup], plan: PrunePlan) -> list[ChannelGroup]:
    """The groups as they are in the network that `plan` leaves; those of one channel are left out."""
    places = {(c.tensor, c.dim): _places(c.size, c.kept) for c in plan.cuts}
    chosen = {choice.group: np.array(choice.kept) for choice in plan.choices}
    result = []
    for group in groups:
        kept = chosen.get(group.name, np.arange(group.channels))
        members = tuple(
            _moved(member, kept, places.get((member.tensor, member.dim))) for member in group.members
        )
        if len(kept) > 1:
            result.append(replace(group, channels=len(kept), members=members, classes=group.classes[kept]))
    return result


def _places(size: int, kept: Sequence[int]) -> np.ndarray:
    places = np.full(size, -1)
    places[list(kept)] = np.arange(len(kept))
    return places


def _moved(member: Member, kept: np.ndarray, places: np.ndarray | None) -> Member:
    positions = member.positions[kept]
    return replace(member, positions=positions if places is None else places[positions])


def dense_state(network: Network, plan: PrunePlan, dense: Network) -> dict[str, Tensor]:
    """The weights of a cut network at their places in the dense one, zero where it was cut."""
    return scatter(network.body.state_dict(), plan, dense.body.state_dict())


def dense_body(state: Mapping[str, Tensor], dense: Network) -> nn.Module:
    """The dense network's body with other weights."""
    body = copy.deepcopy(dense.body)
    body.load_state_dict(dict(state))
    return body


def cut_with(dense: Network, plan: PrunePlan, state: Mapping[str, Tensor]) -> Network:
    """`dense` cut by `plan`, with the weights of a dense-shaped state."""
    network = cut(dense, plan)
    network.body.load_state_dict(apply_to_state({k: v.detach().clone() for k, v in state.items()}, plan))
    return network
