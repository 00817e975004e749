"""Which weights may become zero: those of convolutions and linear layers, never biases and norms."""

from collections.abc import Mapping, Sequence
from fnmatch import fnmatch

import torch
from torch import Tensor, nn

from espalier.errors import PlanError
from espalier.networks.network import Network, body_of

_LAYERS = (nn.modules.conv._ConvNd, nn.Linear)


def weights(network: nn.Module, protect: Sequence[str] = ()) -> dict[str, nn.Parameter]:
    """Name (in the body) -> weight that may be sparse; frozen ones and those that match `protect` stay dense.

    Raises:
        PlanError: there is none.
    """
    body = body_of(network)
    found = {
        f"{name}.weight" if name else "weight": module.weight
        for name, module in body.named_modules()
        if isinstance(module, _LAYERS) and isinstance(module.weight, nn.Parameter)
    }
    named = dict(body.named_parameters())  # tied weights once
    allowed = {
        name: weight
        for name, weight in found.items()
        if name in named and weight.requires_grad and not any(fnmatch(name, p) for p in protect)
    }
    if not allowed:
        raise PlanError("no weight of this network may be sparse; is everything behind --protect?")
    return allowed


@torch.no_grad()
def apply_(network: nn.Module, masks: Mapping[str, Tensor]) -> None:
    """Set to zero what the masks prune, in place."""
    body = body_of(network)
    for name, mask in masks.items():
        weight = body.get_parameter(name)
        weight.masked_fill_(~mask.to(weight.device), 0)


def keep_(network: Network, masks: Mapping[str, Tensor]) -> None:
    """Set to zero what the masks prune, and note them in the network, so that its file leaves the zeros out."""
    apply_(network, masks)
    network.masks = {name: mask.cpu() for name, mask in masks.items()}


def sparsity(masks: Mapping[str, Tensor]) -> float:
    """Share of the masked weights that are pruned."""
    total = sum(mask.numel() for mask in masks.values())
    return 1 - sum(int(mask.count_nonzero()) for mask in masks.values()) / total if total else 0.0
