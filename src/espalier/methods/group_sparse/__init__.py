"""Group-norm sparse learning: every channel's whole group is pressed, the smaller the harder; then the smallest go.

Fang, Ma, Song, Bi Mi, Wang: "DepGraph: Towards Any Structural Pruning", CVPR 2023, section 3.3.
"""

import copy

from pydantic import BaseModel, ConfigDict, Field

from espalier.importance import scores
from espalier.methods.growing import Gradient, Growing
from espalier.methods.job import Job, Phase
from espalier.methods.learning import group_norm
from espalier.methods.places import everything
from espalier.methods.removal import removed
from espalier.methods.widths import kept_channels
from espalier.networks.network import Network

ALLOCATION = "uniform"
INTERVAL = 5


class Options(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)

    steps: int = Field(default=1000, ge=1)
    """Training steps with the penalty."""
    strength: float = Field(default=5e-4, ge=0)
    """Penalty of the largest channels; that of the smallest is four times as high."""
    lr: float | None = Field(default=None, gt=0)
    """Learning rate of these steps; by default the run's."""


OPTIONS = Options


def prune(job: Job) -> Network:
    """Train under the penalty, then cut the channels with the smallest group norm.

    Raises:
        PlanError: nothing can be pruned, or the budget cannot be met.
    """
    network = copy.deepcopy(job.network)
    rule = group_norm(job.options.strength)
    method = Growing(job.channels.prunable, rule, places=everything, press=Gradient(), interval=INTERVAL)
    job.train(network, Phase("sparsity", job.options.steps, lr=job.options.lr), method)
    found = scores("group_l2", network.body, job.channels.prunable, seed=job.seed)
    return removed(job, network, kept_channels(job, found))
