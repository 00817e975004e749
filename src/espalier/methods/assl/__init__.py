"""Aligned structured sparsity learning: weight normalisation, aligned soft masks, a growing penalty on scales.

Zhang, Wang, Qin, Fu: "Aligned Structured Sparsity Learning for Efficient Image Super-Resolution", NeurIPS 2021.
"""

import copy
from collections.abc import Mapping

from pydantic import Field

from espalier.importance import scores
from espalier.methods.assl.alignment import Aligned
from espalier.methods.growing import kept
from espalier.methods.job import Job, Phase
from espalier.methods.pace import GrowthOptions, Pace, pace, published
from espalier.methods.removal import removed
from espalier.methods.widths import cut_groups, going_counts
from espalier.networks.network import Network

ALLOCATION = "uniform"
PAPER = published(align=17_260, hold=43_150)


class Options(GrowthOptions):
    alignment: float = Field(default=1.0, ge=0)
    """Weight of the alignment term, beside a loss on images in 0..255."""


OPTIONS = Options


def prune(job: Job) -> Network:
    """The same share of every group goes, or what another allocation says.

    Raises:
        PlanError: nothing can be pruned, or the budget cannot be met.
    """
    sizes = scores("l2", job.network.body, job.channels.prunable, seed=job.seed)
    return sparsified(job, going_counts(job, sizes), pace(job.options, PAPER))


def sparsified(job: Job, counts: Mapping[str, int], at: Pace) -> Network:
    """Train a copy of the dense network until so many channels of each group are nothing, then cut them away."""
    network, groups = copy.deepcopy(job.network), cut_groups(job, counts)
    method = Aligned(groups, counts, at, weight=job.options.alignment)
    job.train(network, Phase("sparsity", at.steps, lr=job.options.lr), method)
    return removed(job, network, kept(groups, method.going))
