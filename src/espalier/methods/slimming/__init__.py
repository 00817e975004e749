"""Network slimming: an L1 penalty on the scales of norms while training, then the channels with small scales go.

Liu, Li, Shen, Huang, Yan, Zhang: "Learning Efficient Convolutional Networks through Network Slimming", ICCV 2017.
"""

import copy

from pydantic import BaseModel, ConfigDict, Field

from espalier.errors import PlanError
from espalier.importance import scores
from espalier.methods.growing import Growing, Lasso
from espalier.methods.job import Job, Phase
from espalier.methods.learning import constant
from espalier.methods.places import scales
from espalier.methods.removal import removed
from espalier.methods.widths import kept_channels
from espalier.networks.network import Network


class Options(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)

    steps: int = Field(default=1000, ge=1)
    """Training steps with the penalty."""
    strength: float = Field(default=1e-4, ge=0)
    """Weight of the sum of the scales' absolute values."""
    lr: float | None = Field(default=None, gt=0)
    """Learning rate of these steps; by default the run's."""


OPTIONS = Options


def prune(job: Job) -> Network:
    """Train under the penalty, then cut by the scales; where a group has none, by the size of its filters.

    Raises:
        PlanError: no group has scales, nothing can be pruned, or the budget cannot be met.
    """
    groups = [group for group in job.channels.prunable if scales(job.network.body, group)]
    if not groups:
        raise PlanError(
            f"slimming needs norms with scales (BatchNorm, LayerNorm), and {job.network.name} has none on its "
            "prunable channels; take assl, which gives every layer scales"
        )
    network = copy.deepcopy(job.network)
    method = Growing(
        groups, constant(job.options.strength), places=scales, press=Lasso(), interval=job.options.steps
    )
    job.train(network, Phase("sparsity", job.options.steps, lr=job.options.lr), method)
    return removed(job, network, kept_channels(job, scores("bn_scale", network.body, job.channels.prunable)))
