"""One-shot pruning by the size of the weights."""

from espalier.allocation import allocate
from espalier.importance import scores
from espalier.methods.job import Job, cut
from espalier.networks.network import Network


def prune(job: Job) -> Network:
    """Score every channel by the criterion, keep the highest within the budget, cut the rest away.

    Raises:
        PlanError: nothing can be pruned, or the budget cannot be met.
    """
    scored = scores(job.criterion, job.network.body, job.channels.prunable, seed=job.seed)
    kept = allocate(
        job.channels,
        scored,
        job.budget,
        by=job.allocation,
        round_to=job.round_to,
        protect=job.protect,
        cost=job.cost,
    )
    return cut(job.network, job.channels.plan(kept))
