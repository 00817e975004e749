"""One-shot unstructured pruning by optimal brain surgeon on real images; what stays is refitted, nothing is trained."""

import copy
from collections.abc import Mapping

from pydantic import BaseModel, ConfigDict
from torch import Tensor

from espalier.calibration import Record, record, refit, sensitivities
from espalier.calibration.layers import is_layer
from espalier.errors import PlanError
from espalier.methods.calibrated import difference
from espalier.methods.calibrated.material import patches
from espalier.methods.job import Job
from espalier.methods.masking import Masks
from espalier.methods.obs.elimination import prices
from espalier.methods.obs.refitting import under
from espalier.networks.network import Network, body_of
from espalier.sparsity import Pattern, apply_, choose, keep_, weights

BUDGETS = ("sparsity",)
NEAR = 0.001


class Options(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)

    pattern: str | None = None
    """Such as 2:4: of every four inputs two stay; the budget must say its sparsity, here 0.5."""
    refit: bool = True
    """Solve for the weights that stay; otherwise they are the dense network's."""


OPTIONS = Options


def prune(job: Job) -> Network:
    """Masks by what each weight's loss costs the image, weights refitted; of a few ways the best on held-out patches.

    Raises:
        PlanError: no weight may be sparse, or a pattern that contradicts the budget.
        ImageError: there is no image to calibrate on.
    """
    options: Options = job.options
    dense = job.network
    material = patches(job.images, job.seed, next(dense.parameters()).device)
    inputs = dense.encode(material.fitted)
    body, free = body_of(dense), weights(dense, job.protect)
    readers = {n.rpartition(".")[0] for n in free if is_layer(body.get_submodule(n.rpartition(".")[0]))}
    records = record(body, inputs, readers)
    felt = sensitivities(body, inputs[:: max(1, len(inputs) // 8)])
    sizes = {name: weight.detach().abs() for name, weight in free.items()}
    costs = prices(body, sizes, records, felt)
    tried = (
        _refitted(job, masks, inputs, records, options.refit) for masks in _candidates(job, costs, sizes)
    )
    return min(tried, key=lambda network: difference(network, dense, material.held))


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
