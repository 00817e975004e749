"""Static unstructured pruning by size: at once, in rounds (with rewinding), or gradually; or an N:M pattern."""

import copy
from typing import Literal

import torch
from pydantic import BaseModel, ConfigDict, Field

from espalier.errors import PlanError
from espalier.methods.job import Job, Phase
from espalier.methods.masking import Keeping, Masks, Rule, Search, Timing
from espalier.networks.network import Network, body_of
from espalier.sparsity import Pattern, apply_, choose, weights
from espalier.sparsity.schedule import Cubic

BUDGETS = ("sparsity",)
NEAR = 0.001
"""How far a pattern's own sparsity may lie from the budget."""


class Options(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)

    schedule: Literal["once", "gradual"] = "once"
    """Prune before training, or along a cubic rise while training."""
    spread: Literal["global", "layer", "lamp", "erk"] = "global"
    """How sparsity is spread over layers."""
    pattern: str | None = None
    """Such as 2:4: of every four inputs two stay (once only); the budget must say its sparsity, here 0.5."""
    steps: int = Field(default=0, ge=0)
    """Of training, all rounds together; with 0 it is left to recovery."""
    rounds: int = Field(default=1, ge=1)
    """Prune and train so often, the same share of what is left each time (once only)."""
    rewind: bool = False
    """Begin every round with the dense network's weights again (under the new masks)."""
    until: float = Field(default=0.75, gt=0, le=1)
    """Share of the steps over which sparsity rises (gradual)."""
    every: int = Field(default=10, ge=1)
    """Steps between two decisions (gradual)."""
    lr: float | None = Field(default=None, gt=0)
    """Learning rate; by default the run's."""
    teacher: float = Field(default=0.0, ge=0)
    """Weight of the distance to the dense network's output."""

    @property
    def losses(self) -> dict[str, float]:
        return {"l1": 1.0} | ({"teacher": self.teacher} if self.teacher else {})


OPTIONS = Options


def prune(job: Job) -> Network:
    """Zero the smallest weights; the masks stay with the network.

    Raises:
        PlanError: no weight may be sparse, or options that contradict one another.
    """
    options: Options = job.options
    network = copy.deepcopy(job.network)
    if options.schedule == "gradual":
        network.masks = _gradually(job, network, options)
    else:
        network.masks = _in_rounds(job, network, options)
    return network


def _in_rounds(job: Job, network: Network, options: Options) -> Masks:
    masks: Masks = {}
    for number in range(1, options.rounds + 1):
        sparsity = 1 - (1 - job.budget.value) ** (number / options.rounds)
        masks = _chosen(job, network, sparsity, options)
        if options.rewind:
            network.load_state_dict(job.network.state_dict())
        apply_(network, masks)
        steps = options.steps // options.rounds
        if steps:
            phase = Phase(f"round-{number}", steps, options.losses, options.lr, "cosine")
            job.train(network, phase, Keeping(masks))
    return masks


def _chosen(job: Job, network: Network, sparsity: float, options: Options) -> Masks:
    sizes = {name: weight.detach().abs() for name, weight in weights(network, job.protect).items()}
    if options.pattern is None:
        found = choose(sizes, sparsity, options.spread)
    else:
        found = _patterned(job, network, Pattern.parse(options.pattern), sizes, options)
    return {name: mask.cpu() for name, mask in found.items()}


def _patterned(job: Job, network: Network, pattern: Pattern, sizes: Masks, options: Options) -> Masks:
    if options.rounds > 1 or abs(pattern.sparsity - job.budget.value) > NEAR:
        raise PlanError(
            f"the pattern {pattern} makes a sparsity of {pattern.sparsity:g} in one round; got {job.budget} "
            f"and {options.rounds} rounds: give --budget sparsity={pattern.sparsity:g} --options.rounds 1"
        )
    masks = pattern.masks(body_of(network), sizes)
    if not masks:
        raise PlanError(f"no layer has inputs in groups of {pattern.of}, which the pattern {pattern} needs")
    return masks


def _gradually(job: Job, network: Network, options: Options) -> Masks:
    if not options.steps or options.pattern or options.rounds > 1:
        raise PlanError(
            "a gradual schedule needs steps to rise over, and knows neither patterns nor rounds: "
            "give --options.steps 1000, or --options.schedule once"
        )
    every = min(options.every, options.steps)
    until = max(every, round(options.until * options.steps) // every * every)
    masks = {name: torch.ones_like(w, dtype=torch.bool) for name, w in weights(network, job.protect).items()}
    rule = Rule(
        lambda v: choose({n: w.abs() for n, w in v.weights.items()}, v.sparsity, options.spread), learns=False
    )
    search = Search(masks, rule, Timing(Cubic(job.budget.value, until), until, every))
    job.train(network, Phase("gradual", options.steps, options.losses, options.lr, "cosine"), search)
    return {name: mask.cpu() for name, mask in search.masks.items()}
