"""Ours: calibrated choice and refit in rounds; in between, distillation under a penalty that grows on weak channels."""

import copy
from dataclasses import replace

from pydantic import BaseModel, ConfigDict, Field

from espalier.methods import calibrated
from espalier.methods.calibrated.polishing import polished
from espalier.methods.growing import Gradient, Growing
from espalier.methods.job import Job, Optimizer, Phase
from espalier.methods.learning import growing_with_lag
from espalier.methods.pace import UNIT
from espalier.methods.places import filters
from espalier.methods.rounds import budget_after, dense_state, narrowed
from espalier.networks.network import Network
from espalier.optimizers import RATES

ALLOCATION = calibrated.ALLOCATION
INTERVAL = 5
CUT_AND_REFIT = calibrated.OPTIONS(polish=0)
"""Training follows every round but the last: nothing is polished on the way."""
LOSSES = {"l1": 1.0, "teacher": 1.0}


class Options(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)

    rounds: int = Field(default=2, ge=1)
    """Times that channels are chosen, cut and refitted, the same share of the way each."""
    steps: int = Field(default=100, ge=1)
    """Training steps after each round but the last, which recovery follows."""
    strength: float = Field(default=0.05, ge=0)
    """What the penalty on a group's weakest channel grows to in a round, beside a loss on images in 0..255."""
    optimizer: Optimizer = "adam"
    """What takes these steps."""
    lr: float | None = Field(default=None, gt=0)
    """Learning rate of these steps; by default the run's for Adam, and SOAP's own for SOAP."""
    polish: int = Field(default=0, ge=0)
    """Steps of polishing after the last round, as in `calibrated`."""


OPTIONS = Options


def prune(job: Job) -> Network:
    """Cut by calibrated damage and refit, train, and again, from what training has made of the network.

    The network of each round is put back into the dense one's shape, where what was cut is zero and costs nothing
    to lose, so that one plan describes the whole.

    Raises:
        PlanError: nothing can be pruned, or the budget cannot be met.
        ImageError: there is no image to calibrate on.
    """
    rounds, whole = job.options.rounds, copy.deepcopy(job.network)
    cutting = replace(job, options=CUT_AND_REFIT)
    for number in range(1, rounds):
        budget = budget_after(job, number / rounds)
        pruned = calibrated.prune(replace(cutting, network=whole, budget=budget))
        plan = pruned.plans[-1]
        _train(job, pruned, f"round-{number}")
        whole.body.load_state_dict(dense_state(pruned, plan, job.network))
    return polished(job, calibrated.prune(replace(cutting, network=whole)), job.options.polish)


def _train(job: Job, network: Network, name: str) -> None:
    options = job.options
    updates = -(-options.steps // INTERVAL)
    rule = growing_with_lag(0.0, options.strength * UNIT / updates)
    groups = narrowed(job.channels.prunable, network.plans[-1])
    method = Growing(groups, rule, places=filters, press=Gradient(), interval=INTERVAL, scaled=True)
    lr = options.lr or (RATES["soap"] if options.optimizer == "soap" else None)
    job.train(network, Phase(name, options.steps, LOSSES, lr, optimizer=options.optimizer), method)
