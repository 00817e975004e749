"""After training: the channels that were pressed to nothing are cut away, and what that changed is written down."""

from collections.abc import Mapping
from dataclasses import replace

from espalier.methods.job import Job, cut
from espalier.networks.network import Network

BEFORE, AFTER = "psnr before removal", "psnr after removal"
"""Notes of the plan."""


def removed(job: Job, trained: Network, kept: Mapping[str, list[int]]) -> Network:
    """A copy of `trained`, cut to these channels."""
    plan = job.channels.plan(kept)
    smaller = cut(trained, plan)
    notes = {BEFORE: job.score(trained), AFTER: job.score(smaller)}
    noted = replace(plan, notes=plan.notes | notes)
    smaller.plans = (*smaller.plans[:-1], noted)
    return smaller
