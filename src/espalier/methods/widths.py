"""How many channels of each group go, whichever they are."""

from collections.abc import Mapping

import numpy as np

from espalier.allocation import allocate
from espalier.channels import ChannelGroup
from espalier.methods.job import Job


def kept_channels(job: Job, scores: Mapping[str, np.ndarray]) -> dict[str, list[int]]:
    """Group -> channels that stay within the job's budget, those with the highest scores.

    Raises:
        PlanError: nothing can be pruned, or the budget cannot be met.
    """
    return allocate(
        job.channels,
        dict(scores),
        job.budget,
        by=job.allocation,
        round_to=job.round_to,
        protect=job.protect,
        cost=job.cost,
    )


def going_counts(job: Job, scores: Mapping[str, np.ndarray]) -> dict[str, int]:
    """Group -> how many channels must go; groups that stay whole are left out.

    Raises:
        PlanError: nothing can be pruned, or the budget cannot be met.
    """
    kept = kept_channels(job, scores)
    return {name: job.channels.group(name).channels - len(channels) for name, channels in kept.items()}


def cut_groups(job: Job, counts: Mapping[str, int]) -> list[ChannelGroup]:
    """The groups that lose channels, in the network's order."""
    return [group for group in job.channels.prunable if group.name in counts]
