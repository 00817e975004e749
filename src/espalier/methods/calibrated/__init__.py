"""One-shot pruning by what the loss of channels costs the image; what remains is refitted by least squares."""

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from espalier import calibration
from espalier.allocation import allocate
from espalier.calibration import Elimination, Record
from espalier.calibration.layers import input_axis, is_layer
from espalier.data import PackedImages, Patches
from espalier.errors import ImageError
from espalier.methods.calibrated.prices import prices
from espalier.methods.job import Job, cut
from espalier.networks.network import Network
from espalier.plan import PrunePlan

ALLOCATION = "damage"
"""The strategy of `espalier.allocation` that suits this method's scores."""
PATCHES, HELD, SIZE = 32, 8, 48
"""LR patches to calibrate on, more to choose by, and their height and width."""


@dataclass(frozen=True)
class Material:
    """LR patches, RGB in 0..1."""

    fitted: Tensor
    held: Tensor


def prune(job: Job) -> Network:
    """Choose channels by calibrated damage, cut, refit; of a few ways to choose, the best on held-out patches.

    Raises:
        PlanError: nothing can be pruned, or the budget cannot be met.
        ImageError: there is no image to calibrate on.
    """
    network = job.network
    device = next(network.parameters()).device
    material = patches(job.images, job.seed, device)
    inputs = network.encode(material.fitted)
    found = calibration.observe(network.body, inputs, job.channels.prunable)
    curves = calibration.damages(network.body, job.channels.prunable, found)
    alone = calibration.losses(network.body, job.channels.prunable, found)
    candidates = [(job, curves), (job, alone)]
    if job.allocation == ALLOCATION:
        candidates.insert(1, (dataclasses.replace(job, allocation="uniform"), curves))
    tried = (refitted(wish, curve, inputs, found.records) for wish, curve in candidates)
    return min(tried, key=lambda candidate: difference(candidate, network, material.held))


def refitted(
    job: Job, elimination: Mapping[str, Elimination], inputs: Tensor, records: Mapping[str, Record]
) -> Network:
    """The network cut to the budget by these eliminations, every layer refitted."""
    kept = allocate(
        job.channels,
        prices(elimination, job.cost, job.budget, job.round_to),
        job.budget,
        by=job.allocation,
        round_to=job.round_to,
        protect=job.protect,
        cost=job.cost,
    )
    plan = job.channels.plan(kept)
    pruned = cut(job.network, plan)
    calibration.refit(pruned.body, inputs, records, outputs_of(plan, job.network.body))
    return pruned


def outputs_of(plan: PrunePlan, body: nn.Module) -> dict[str, Tensor]:
    """Layer name -> positions of its outputs that a plan keeps; `body` is the dense network's."""
    kept = {}
    for c in plan.cuts:
        name, _, kind = c.tensor.rpartition(".")
        layer = body.get_submodule(name)
        if kind == "weight" and is_layer(layer) and c.dim != input_axis(layer):
            kept[name] = torch.tensor(c.kept, device=layer.weight.device)
    return kept


def patches(images: PackedImages, seed: int, device: torch.device | str = "cpu") -> Material:
    """Patches drawn from all images, smaller where the images are.

    Raises:
        ImageError: there are no images.
    """
    if not len(images):
        raise ImageError("there is no image to calibrate on; give some with --data")
    size = min(SIZE, int(np.min(images.places[:, 4:6], axis=1).max()))
    drawn, _ = Patches(images, size, seed=seed).batch(0, 0, PATCHES + HELD)
    drawn = drawn.to(device)
    return Material(drawn[:PATCHES], drawn[PATCHES:])


def difference(network: Network, dense: Network, x: Tensor) -> float:
    """Mean square difference between two networks' images; infinite where one is not a number."""
    with torch.no_grad():
        error = float((network(x) - dense(x)).square().mean())
    return error if np.isfinite(error) else float("inf")
