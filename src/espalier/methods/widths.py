"""How many channels of each group go, whichever they are."""

from collections.abc import Mapping

import numpy as np

from espalier.allocation import allocate
from espalier.channels import ChannelGroup
from espalier.methods.job import Job


def going_counts(job: Job, scores: Mapping[str, np.ndarray], by: str | None = None) -> dict[str, int]:
    """Group -> channels that must go to meet the budget; groups that stay whole are left out.

    Raises:
        PlanError: nothing can be pruned, or the budget cannot be met.
    """
    kept = allocate(
        job.channels,
        dict(scores),
        job.budget,
        by=by or job.allocation,
        round_to=job.round_to,
        protect=job.protect,
        cost=job.cost,
    )
    return {name: job.channels.group(name).channels - len(channels) for name, channels in kept.items()}


def cut_groups(job: Job, counts: Mapping[str, int]) -> list[ChannelGroup]:
    """The groups that lose channels, in the network's order."""
    return [group for group in job.channels.prunable if group.name in counts]
