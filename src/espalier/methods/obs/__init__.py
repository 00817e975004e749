"""One-shot unstructured pruning by optimal brain surgeon on real images; what stays is refitted, nothing is trained."""

import copy
from collections.abc import Mapping
from dataclasses import dataclass

from pydantic import BaseModel, ConfigDict
from torch import Tensor

from espalier.calibration import Record, record, refit, sensitivities
from espalier.calibration.layers import is_layer
from espalier.errors import PlanError
from espalier.methods.calibrated import difference
from espalier.methods.calibrated.material import Material, looked_at
from espalier.methods.job import Job
from espalier.methods.masking import Masks
from espalier.methods.obs.elimination import prices
from espalier.methods.obs.refitting import under
from espalier.networks.network import Network, body_of
from espalier.sparsity import Pattern, apply_, choose, keep_, weights

BUDGETS = ("sparsity",)
NEAR = 0.001
FEW, DRAFT = 8, 4096
"""Patches for gradients and for drafts, and positions of each layer at which a draft is fitted."""


class Options(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)

    pattern: str | None = None
    """Such as 2:4: of every four inputs two stay; the budget must say its sparsity, here 0.5."""
    refit: bool = True
    """Solve for the weights that stay; otherwise they are the dense network's."""


OPTIONS = Options


@dataclass(frozen=True)
class Observed:
    """What is known of a dense network; the same for every sparsity."""

    material: Material
    inputs: Tensor
    """Of the network's body, for the drafted patches."""
    records: Mapping[str, Record]
    sizes: Masks
    costs: Masks
    """What the loss of each weight costs the image."""


def prune(job: Job) -> Network:
    """Masks by what each weight's loss costs the image, weights refitted; of a few ways the best on held-out patches.

    Raises:
        PlanError: no weight may be sparse, or a pattern that contradicts the budget.
        ImageError: there is no image to calibrate on.
        NetworkError: the network takes no batches.
    """
    return pruned(job, observe(job))


def observe(job: Job) -> Observed:
    """Run the dense network on patches and price its weights."""
    dense = job.network
    material = looked_at(job)
    inputs = dense.encode(material.drafted)
    body, free = body_of(dense), weights(dense, job.protect)
    readers = {n.rpartition(".")[0] for n in free if is_layer(body.get_submodule(n.rpartition(".")[0]))}
    records = record(body, inputs, readers)
    felt = sensitivities(body, _some(inputs))
    sizes = {name: weight.detach().abs() for name, weight in free.items()}
    return Observed(material, inputs, records, sizes, prices(body, sizes, records, felt))


def pruned(job: Job, seen: Observed) -> Network:
    """The network at the budget's sparsity; the masks are compared by drafts on fewer patches."""
    options: Options = job.options
    candidates = _candidates(job, seen.costs, seen.sizes)
    if options.refit:
        inputs = _some(seen.inputs)
        records = record(body_of(job.network), inputs, rows=DRAFT)
    else:
        inputs, records = seen.inputs, seen.records
    drafts = (_refitted(job, masks, inputs, records, options.refit) for masks in candidates)
    best = min(drafts, key=lambda network: difference(network, job.network, seen.material.held))
    if not options.refit:
        return best
    whole = _refitted(job, best.masks, seen.inputs, seen.records, True)
    return min(whole, best, key=lambda network: difference(network, job.network, seen.material.held))


def refitted(job: Job, masks: Masks) -> Network:
    """The dense network refitted under masks found elsewhere."""
    material = looked_at(job)
    inputs = job.network.encode(material.drafted)
    return _refitted(job, masks, inputs, record(body_of(job.network), inputs), True)


def _some(inputs: Tensor) -> Tensor:
    """About eight of the patches."""
    return inputs[:: max(1, len(inputs) // FEW)]


def _candidates(job: Job, costs: Masks, sizes: Masks) -> list[Masks]:
    """By cost over the whole network, by cost in each layer, and by size: errors of many layers add up differently."""
    options: Options = job.options
    share = job.budget.value
    if options.pattern is None:
        return [choose(costs, share), choose(costs, share, "layer"), choose(sizes, share, "lamp")]
    pattern = Pattern.parse(options.pattern)
    if abs(pattern.sparsity - share) > NEAR:
        raise PlanError(
            f"the pattern {pattern} makes a sparsity of {pattern.sparsity:g}, got {job.budget}; "
            f"give --budget sparsity={pattern.sparsity:g}"
        )
    found = [pattern.masks(body_of(job.network), scores) for scores in (costs, sizes)]
    if not found[0]:
        raise PlanError(f"no layer has inputs in groups of {pattern.of}, which the pattern {pattern} needs")
    return found


def _refitted(
    job: Job, masks: Masks, inputs: Tensor, records: Mapping[str, Record], refitting: bool
) -> Network:
    network = copy.deepcopy(job.network)
    keep_(network, masks)
    if refitting:
        refit(network.body, inputs, records, {}, solve=under(masks))
        apply_(network, masks)
    return network
