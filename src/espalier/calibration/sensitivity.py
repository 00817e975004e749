"""How much an error in a layer's output shows in the image, from gradients of random mixtures of its pixels."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from espalier.calibration.backward import Recording, recording
from espalier.calibration.layers import is_layer
from espalier.networks.network import first


def sensitivities(network: nn.Module, inputs: Tensor, *, probes: int = 1, seed: int = 0) -> dict[str, Tensor]:
    """Layer name -> (channels, channels): mean over positions of J^T J, J from this layer's output to the image.

    With signs v drawn at random, the gradient of v . image is J^T v, and the mean of its outer products is J^T J
    (Hutchinson, 1989). An error of independent rows e then costs the sum over positions of e^T (J^T J) e.
    """
    recorded = recording(network, inputs[:1])  # before anything is gathered
    totals: dict[str, Tensor] = {}
    counts: dict[str, int] = {}

    def gather(name: str, layer: nn.Module) -> Callable[[Tensor], None]:
        def hook(gradient: Tensor) -> None:
            rows = gradient.movedim(-1 if isinstance(layer, nn.Linear) else 1, 0).flatten(1)
            outer = (rows @ rows.T).double()
            totals[name] = totals[name] + outer if name in totals else outer
            counts[name] = counts.get(name, 0) + rows.shape[1]

        return hook

    def watch(layer: nn.Module, output: Any, name: str) -> None:
        if isinstance(output, Tensor) and output.requires_grad:
            output.register_hook(gather(name, layer))

    handles = [
        module.register_forward_hook(lambda m, _, out, name=name: watch(m, out, name))
        for name, module in network.named_modules()
        if is_layer(module)
    ]
    try:
        _probe(network, inputs, probes, seed, recorded)
    finally:
        for handle in handles:
            handle.remove()
    return {name: total / counts[name] for name, total in totals.items()}


def _probe(network: nn.Module, inputs: Tensor, probes: int, seed: int, recorded: Recording) -> None:
    """Backward from random signs on the image, one input at a time, leaving no gradients behind."""
    generator = torch.Generator().manual_seed(seed)
    for row in inputs.split(1):
        with torch.enable_grad(), recorded():
            leaf = row.clone().requires_grad_()
            image = first(network(leaf.clone()))
            for k in range(probes):
                signs = torch.randint(0, 2, image.shape, generator=generator).to(image) * 2 - 1
                torch.autograd.grad(image, leaf, signs, retain_graph=k + 1 < probes, allow_unused=True)
