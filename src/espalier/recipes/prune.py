"""One shot from a dense network to a smaller one."""

import copy
from dataclasses import dataclass

import numpy as np

from espalier.errors import PlanError
from espalier.networks.network import Network
from espalier.recipes.inspect import trace
from espalier.surgery import apply_


@dataclass(frozen=True)
class Request:
    """What is wanted of pruning."""

    budget: str = "macs=0.5"
    method: str = "magnitude"
    criterion: str = "l2"
    allocation: str = "global"
    round_to: int = 1
    protect: tuple[str, ...] = ()
    seed: int = 0


def check(request: Request) -> None:
    kind, _, share = request.budget.partition("=")
    if kind not in ("macs", "params", "ratio") or not 0 < float(share) < 1:
        raise PlanError(
            f"budget {request.budget!r}; expected macs=, params= or ratio= a number between 0 and 1"
        )


def prune(dense: Network, request: Request) -> Network:
    found = trace(dense)
    share = float(request.budget.partition("=")[2])
    small = copy.deepcopy(dense)
    tensors = dict(small.body.named_parameters())
    cost = found.cost.macs
    names = found.cost.names
    full = cost(np.ones(len(names)))
    low, high = 0.0, 1.0
    prunable = {g.name: g for g in found.prunable}
    for _ in range(30):
        mid = (low + high) / 2
        kept = np.array(
            [
                max(1, int(prunable[n].channels * mid)) / prunable[n].channels if n in prunable else 1.0
                for n in names
            ]
        )
        low, high = (mid, high) if cost(kept) <= share * full else (low, mid)
    keep = {}
    for name, group in prunable.items():
        score = np.zeros(group.channels)
        for m in group.members:
            if m.tensor in tensors:
                t0 = tensors[m.tensor].detach()
                t = t0.double().movedim(m.dim, 0).reshape(t0.shape[m.dim], -1).square().sum(1).numpy()
                score += t[m.positions].sum(1)
        count = max(1, int(group.channels * low))
        keep[name] = sorted(np.argsort(-score)[:count].tolist())
    plan = found.plan(keep)
    apply_(small.body, plan)
    small.plans = (*small.plans, plan)
    return small
