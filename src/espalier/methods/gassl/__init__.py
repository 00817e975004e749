"""Global aligned structured sparsity learning: HAIR finds each layer's share, ASSL prunes from the dense weights.

Wang, Zhang, Qin, Van Gool, Fu: "Global Aligned Structured Sparsity Learning for Efficient Image Super-Resolution",
TPAMI 2023.
"""

from pydantic import Field

from espalier.methods.assl import Options as AlignedOptions
from espalier.methods.assl import sparsified
from espalier.methods.gassl.hair import reaching, responses, selecting
from espalier.methods.job import Job
from espalier.methods.pace import pace, published
from espalier.methods.widths import going_counts
from espalier.networks.network import Network

ALLOCATION = "damage"
"""Responses are compared as they are, over all layers."""
PAPER = published(align=17_260, hold=86_300, interval=30)


class Options(AlignedOptions):
    select: int = Field(default=300, ge=1)
    """Steps of finding the shares, where the schedule is short."""
    select_lr: float | None = Field(default=None, gt=0)
    """Learning rate of the scales meanwhile, where the schedule is short; by default one by which they can go as far as
    in the published steps."""


OPTIONS = Options


def prune(job: Job) -> Network:
    """Rank all scales of the network by how they answer a penalty on all; prune by ASSL to the layers' shares.

    Raises:
        PlanError: nothing can be pruned, or the budget cannot be met.
    """
    options = job.options
    how = selecting(options.schedule, options.select)
    lr = options.lr if options.schedule == "paper" else options.select_lr or reaching(how.at)
    found = responses(job, how, lr)
    return sparsified(job, going_counts(job, found), pace(options, PAPER))
