"""Pruning in steps: sparsity learning, pruning by any criterion, fine-tuning, again until the budget is met.

The framework of a thesis (Angelini, sr_structured_pruning): one-shot, or linear over 4 or 8 steps.
"""

import copy
from typing import Literal

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from espalier.importance import scores
from espalier.methods.growing import Gradient, Growing, Rule
from espalier.methods.job import Job, Phase
from espalier.methods.learning import group_norm, growing_with_lag
from espalier.methods.places import everything
from espalier.methods.protocol import Idle, Method
from espalier.methods.rounds import budget_after, cut_with, dense_body, dense_state, narrowed, next_kept
from espalier.networks.network import Network
from espalier.plan import PrunePlan

ALLOCATION = "uniform"
RULES: dict[str, Rule] = {"group_sparse": group_norm(5e-4), "growing": growing_with_lag(5e-4, 1e-4)}
"""Sparsity learning by name, with the thesis' strengths."""
INTERVAL = 5


class Options(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)

    rounds: int = Field(default=4, ge=1)
    """Steps in which channels go, the same share of the way each; 1 is one-shot."""
    learn: Literal["none", "group_sparse", "growing"] = "none"
    """Sparsity learning before each."""
    learn_steps: int = Field(default=100, ge=1)
    """Training steps of sparsity learning, each time."""
    steps: int = Field(default=300, ge=1)
    """Training steps of fine-tuning after each but the last, which recovery follows."""
    lr: float | None = Field(default=None, gt=0)
    """Learning rate of all of them; by default the run's."""


OPTIONS = Options


def prune(job: Job) -> Network:
    """Score by the job's criterion in every round, on the weights as they are then.

    Raises:
        PlanError: nothing can be pruned, or the budget cannot be met.
    """
    rounds, network, plan = job.options.rounds, copy.deepcopy(job.network), PrunePlan(())
    kept: dict[str, list[int]] = {}
    for number in range(1, rounds + 1):
        _learn(job, network, plan, number)
        state = dense_state(network, plan, job.network)
        body = dense_body(state, job.network)
        found = scores(job.criterion, body, job.channels.prunable, seed=job.seed + number)
        above = {name: values + np.finfo(float).tiny for name, values in found.items()}
        kept = next_kept(job, above, kept, budget_after(job, number / rounds))
        plan = job.channels.plan(kept)
        network = cut_with(job.network, plan, state)
        if number < rounds:
            job.train(network, Phase(f"tuning-{number}", job.options.steps, lr=job.options.lr), Idle())
    return network


def _learn(job: Job, network: Network, plan: PrunePlan, number: int) -> None:
    if job.options.learn == "none":
        return
    groups, rule = narrowed(job.channels.prunable, plan), RULES[job.options.learn]
    method: Method = Growing(groups, rule, places=everything, press=Gradient(), interval=INTERVAL)
    job.train(network, Phase(f"sparsity-{number}", job.options.learn_steps, lr=job.options.lr), method)
