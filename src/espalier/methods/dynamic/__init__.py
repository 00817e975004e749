"""Unstructured pruning whose masks are decided anew while the network trains, so that weights may come back."""

import copy
import dataclasses
from collections.abc import Mapping

import torch
from torch import Tensor, nn

from espalier.methods import obs
from espalier.methods.dynamic.options import Options
from espalier.methods.dynamic.rules import RULES, timing
from espalier.methods.job import Job, Phase
from espalier.methods.masking import Keeping, Search
from espalier.methods.protocol import Idle
from espalier.networks.network import Network
from espalier.sparsity import weights

OPTIONS = Options
BUDGETS = ("sparsity",)


def prune(job: Job) -> Network:
    """Search a sparse network of the same architecture; its masks stay with it.

    Raises:
        PlanError: no weight may be sparse.
    """
    return searched(job, _started(job, job.options))


def searched(job: Job, network: Network) -> Network:
    """The search from a network with its first masks, which it may change."""
    options: Options = job.options
    search = Search(network.masks, RULES[options.rule](options), timing(options, job.budget.value))
    job.train(network, _phase("search", options.searched, options, options.lr), search)
    network.masks = on_cpu(search.masks)
    if options.rewound:
        network = obs.refitted(job, network.masks)
        job.train(network, _phase("rewound", options.rewound, options, options.lr), Keeping(network.masks))
    if options.dense_steps:
        network.masks = {}
        rate = options.dense_lr or options.lr
        job.train(network, _phase("dense", options.dense_steps, options, rate), Idle())
    return network


def _phase(name: str, steps: int, options: Options, lr: float | None) -> Phase:
    losses = {"l1": 1.0} | ({"teacher": options.teacher} if options.teacher else {})
    return Phase(name, steps, losses, lr, "cosine")


def _started(job: Job, options: Options) -> Network:
    """What the search begins with, and its first masks."""
    if options.start == "calibrated":
        return obs.prune(calibration(job))
    network = copy.deepcopy(job.network)
    if options.scratch:
        restart_(network, job.seed)
    free = weights(network, job.protect)
    network.masks = {name: torch.ones_like(weight, dtype=torch.bool) for name, weight in free.items()}
    return network


def calibration(job: Job) -> Job:
    """What the method obs is asked for where the search starts calibrated."""
    return dataclasses.replace(job, options=obs.Options())


def restart_(network: nn.Module, seed: int) -> None:
    """Fresh weights as torch's own layers draw them; parameters of other modules stay as they are."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        for module in network.modules():
            reset = getattr(module, "reset_parameters", None)
            if callable(reset):
                reset()


def on_cpu(masks: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {name: mask.cpu() for name, mask in masks.items()}
