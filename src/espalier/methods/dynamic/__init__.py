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
from espalier.methods.masking import Search
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
    options: Options = job.options
    network = _started(job, options)
    search = Search(network.masks, RULES[options.rule](options), timing(options, job.budget.value))
    job.train(network, Phase("search", options.steps, _losses(options), options.lr, "cosine"), search)
    network.masks = on_cpu(search.masks)
    if options.dense_steps:
        network.masks = {}
        last = Phase("dense", options.dense_steps, _losses(options), options.lr, "cosine")
        job.train(network, last, Idle())
    return network


def _started(job: Job, options: Options) -> Network:
    """What the search begins with, and its first masks."""
    if options.start == "calibrated":
        return obs.prune(dataclasses.replace(job, options=obs.Options()))
    network = copy.deepcopy(job.network)
    if options.scratch:
        restart_(network, job.seed)
    free = weights(network, job.protect)
    network.masks = {name: torch.ones_like(weight, dtype=torch.bool) for name, weight in free.items()}
    return network


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


def _losses(options: Options) -> dict[str, float]:
    return {"l1": 1.0} | ({"teacher": options.teacher} if options.teacher else {})
