"""One-shot pruning by what the loss of channels costs the image; what remains is refitted and then polished."""

import copy
import dataclasses
from collections.abc import Mapping

import torch
from pydantic import BaseModel, ConfigDict, Field
from torch import Tensor, nn

from espalier import calibration
from espalier.allocation import allocate, units
from espalier.calibration import Elimination, Record
from espalier.calibration.layers import input_axis, is_layer
from espalier.methods.calibrated.material import (
    Material,
    affordable,
    decibels,
    difference,
    looked_at,
    small,
)
from espalier.methods.calibrated.polishing import polished
from espalier.methods.calibrated.prices import prices
from espalier.methods.job import Job, cut
from espalier.networks.network import Network
from espalier.plan import PrunePlan

ALLOCATION = "damage"
"""The strategy of `espalier.allocation` that suits this method's scores."""
PROBES = 8
"""Patches through which gradients are taken."""


class OPTIONS(BaseModel):
    """What only this method can be told."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)

    polish: int = Field(default=960, ge=0)
    """Steps of one patch for all layers together after each was refitted; 0 for none."""


def prune(job: Job) -> Network:
    """Choose channels by calibrated damage, cut, refit, polish; of a few ways to choose, the best on held-out patches.

    Raises:
        PlanError: nothing can be pruned, or the budget cannot be met.
        ImageError: there is no image to calibrate on.
        NetworkError: the network takes no batches.
    """
    material = looked_at(job)
    job.tell("looking for channels that may be turned")
    job = dataclasses.replace(job, network=turned(job, material))
    job.tell("watching the dense network")
    inputs = job.network.encode(material.drafted)
    found = calibration.observe(job.network.body, inputs, job.channels.prunable, probes=PROBES)
    best = drafted(job, material, found)
    refitted_once_more = finished(job, best, material)
    return polished(job, refitted_once_more, (job.options or OPTIONS()).polish)


def turned(job: Job, material: Material) -> Network:
    """A copy whose linear groups stand in the basis in which their first channels matter least; the same image."""
    network = job.network
    groups = [group for unit in units(job.channels.groups, job.protect) for group in unit.groups]
    linear = calibration.linear_groups(network.body, groups, network.encode(small(material.drafted)))
    if not linear or network.masks:  # the zeros of a sparse network would be lost
        return network
    network = copy.deepcopy(network)
    inputs = network.encode(material.drafted[::2])
    found = calibration.observe(
        network.body, inputs, linear, probes=PROBES // 2, rows=calibration.SAMPLE // 2
    )
    calibration.turn_(network.body, linear, found)
    return network


def drafted(job: Job, material: Material, found: calibration.Statistics) -> Network:
    """Cut and refitted on the fewer patches in each of a few ways; the one that is nearest on held-out patches."""
    groups = job.channels.prunable
    job.tell("weighing channels")
    curves = calibration.damages(job.network.body, groups, found)
    ways = {"damage": (job, curves)}
    if job.allocation == ALLOCATION:
        ways["equal shares"] = (dataclasses.replace(job, allocation="uniform"), curves)
    ways["each channel alone"] = (job, calibration.losses(job.network.body, groups, found))
    inputs = job.network.encode(material.drafted)
    best, least, told = None, float("inf"), ""
    for number, (name, (wish, curve)) in enumerate(ways.items(), start=1):
        job.tell(f"refitting, way {number} of {len(ways)} ({name}){told}")
        network = refitted(wish, curve, inputs, found.records)
        error = difference(network, job.network, material.held)
        if best is None or error < least:
            best, least = network, error
        told = f"; so far {decibels(least):.2f} dB from the dense network's images"
    assert best is not None
    return best


def finished(job: Job, draft: Network, material: Material) -> Network:
    """The same channels refitted on all patches, at as many positions as memory allows; the draft if it is nearer."""
    before = difference(draft, job.network, material.held)
    job.tell(f"refitting on all patches; so far {decibels(before):.2f} dB from the dense network's images")
    count, rows = affordable(job.network, material.size)
    inputs = job.network.encode(material.fitted[:count])
    records = calibration.record(job.network.body, inputs, rows=rows)
    network = refit_to(job.network, draft.plans[-1], inputs, records)
    return network if difference(network, job.network, material.held) < before else draft


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
    return refit_to(job.network, job.channels.plan(kept), inputs, records)


def refit_to(network: Network, plan: PrunePlan, inputs: Tensor, records: Mapping[str, Record]) -> Network:
    """The network cut by a plan, every layer refitted to what the dense one gave."""
    pruned = cut(network, plan)
    calibration.refit(pruned.body, inputs, records, outputs_of(plan, network.body))
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
