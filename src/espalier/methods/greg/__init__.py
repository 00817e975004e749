"""Growing regularisation without alignment or scales: GReg-1 chooses first, GReg-2 lets a penalty on all choose.

Wang, Qin, Zhang, Fu: "Neural Pruning via Growing Regularization", ICLR 2021.
"""

import copy
from collections.abc import Mapping
from typing import Literal

from espalier.importance import scores
from espalier.methods.growing import Change, Growing, Moment, Rule, kept, smallest
from espalier.methods.job import Job, Phase
from espalier.methods.pace import GrowthOptions, Pace, pace, published
from espalier.methods.places import everything
from espalier.methods.removal import removed
from espalier.methods.widths import cut_groups, going_counts
from espalier.networks.network import Network

ALLOCATION = "uniform"
PAPER = published(align=0, hold=43_150)
PICK = 0.1
"""GReg-2 chooses when the penalty on all has come this far towards the ceiling."""


class Options(GrowthOptions):
    picking: Literal["first", "last"] = "first"
    """Choose by size before the penalty grows (GReg-1), or after it has grown a little on all (GReg-2)."""


OPTIONS = Options


def prune(job: Job) -> Network:
    """Press on what is chosen, rows and the columns that read them, until it is nothing; cut.

    Raises:
        PlanError: nothing can be pruned, or the budget cannot be met.
    """
    counts = going_counts(job, scores("l2", job.network.body, job.channels.prunable, seed=job.seed))
    at, groups = pace(job.options, PAPER), cut_groups(job, counts)
    picked_at = {"first": 0.0, "last": PICK * at.ceiling}[job.options.picking]
    rule = picking(counts, at, picked_at)
    network = copy.deepcopy(job.network)
    method = Growing(groups, rule, places=everything, press=at.press, interval=at.interval)
    job.train(network, Phase("growing", at.steps, lr=job.options.lr), method)
    return removed(job, network, kept(groups, method.going))


def picking(counts: Mapping[str, int], at: Pace, picked_at: float) -> Rule:
    """All penalties rise to `picked_at`; then the smallest channels are chosen, and the others set free."""

    def rule(moment: Moment) -> Change:
        going = moment.going
        if going is None and float(moment.penalty.max()) >= picked_at:
            going = smallest(moment.sizes.mean(0), counts[moment.group.name])
        if going is None:
            return moment.penalty + at.delta, None
        return (moment.penalty + at.delta).clamp(max=at.ceiling) * going, going

    return rule
