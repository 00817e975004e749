"""Torch-Pruning 1.6.1 (pip install --no-deps torch-pruning==1.6.1) held to a budget of MACs."""

import copy
from typing import Any

from torch import Tensor, nn

from espalier import channels
from espalier.costs import count
from espalier.networks.network import Network

TRACED = (24, 32)
TRIALS = 7
"""Halvings of the interval in which the ratio lies that meets the budget."""


def cut_by_torch_pruning(network: Network, share: float) -> Network:
    """Pruned by group magnitude with the smallest ratio that meets the budget.

    First as its README says; where that fails, with the layers before each PixelShuffle left whole, too.
    """
    try:
        return _within(network, share, last_layers(network))
    except Exception as error:  # whatever a third party's code raises on a third party's network
        first = f"{type(error).__name__}: {error}"
    try:
        return _within(network, share, last_layers(network) | before_shuffles(network.body))
    except Exception as error:
        raise RuntimeError(f"{first}; with the layers before PixelShuffle whole: {error}") from error


def _within(network: Network, share: float, whole: set[str]) -> Network:
    limit = share * count(network).macs
    low, high, best = 0.0, 0.95, None
    for _ in range(TRIALS):
        ratio = (low + high) / 2
        smaller = copy.deepcopy(network)
        _prune_(smaller, ratio, whole)
        smaller(channels.sample_inputs(3, *TRACED))
        fits = count(smaller).macs <= limit
        low, high = (low, ratio) if fits else (ratio, high)
        best = smaller if fits else best
    if best is None:
        raise RuntimeError("no ratio meets the budget")
    return best


def _prune_(network: Network, ratio: float, whole: set[str]) -> None:
    import torch_pruning as tp  # pyright: ignore[reportMissingImports]

    example = network.encode(channels.sample_inputs(3, *TRACED))
    tp.pruner.MetaPruner(
        network.body,
        example,
        importance=tp.importance.GroupMagnitudeImportance(p=2),
        pruning_ratio=ratio,
        ignored_layers=[network.body.get_submodule(name) for name in whole],
    ).step()


def last_layers(network: Network) -> set[str]:
    """Layers that may make the image itself."""
    image = 1 if network.adapter.luma else 3
    sizes = {image, image * network.scale**2}
    return {name for name, layer in _layers(network.body) if layer.weight.shape[0] in sizes}


def before_shuffles(body: nn.Module) -> set[str]:
    """The layer declared last before each PixelShuffle."""
    last, names = "", set()
    for name, module in body.named_modules():
        if isinstance(module, nn.Conv2d):
            last = name
        elif isinstance(module, nn.PixelShuffle) and last:
            names.add(last)
    return names


def _layers(body: nn.Module) -> list[tuple[str, Any]]:
    kinds = (nn.Conv2d, nn.ConvTranspose2d, nn.Linear)
    found = [(name, module) for name, module in body.named_modules() if isinstance(module, kinds)]
    assert all(isinstance(module.weight, Tensor) for _, module in found)
    return found
