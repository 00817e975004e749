"""Where a network runs its layers, and how wide each is when groups lose channels."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import nn

from espalier.channels import ChannelGroup, Channels
from espalier.costs.running import at_rest, example, without_weights
from espalier.networks.network import Network

LAYERS = (nn.Conv2d, nn.ConvTranspose2d, nn.Linear)


@dataclass(frozen=True)
class Shape:
    """All that the time of one layer depends on."""

    kind: str
    """conv, transposed or linear."""
    inputs: int
    outputs: int
    groups: int
    kernel: tuple[int, ...]
    stride: tuple[int, ...]
    padding: tuple[int, ...]
    dilation: tuple[int, ...]
    size: tuple[int, ...]
    """Of the input, without batch and channels; for a linear layer its rows."""


@dataclass(frozen=True)
class Site:
    """One layer of the dense network at one input size."""

    name: str
    shape: Shape
    lost_inputs: np.ndarray
    """Input channels that each group owns, (groups,)."""
    lost_outputs: np.ndarray
    calls: int = 1

    def at(self, kept: np.ndarray) -> tuple[float, float]:
        """Input and output channels when group g keeps the fraction `kept[g]`."""
        gone = 1 - kept
        return (
            self.shape.inputs - float(self.lost_inputs @ gone),
            self.shape.outputs - float(self.lost_outputs @ gone),
        )


def sites(network: Network, channels: Channels, lr_size: tuple[int, int]) -> list[Site]:
    """Every layer that multiplies, once for each input size at which it runs."""
    counts: dict[tuple[str, Shape], int] = {}
    for name, shape in _shapes(network, lr_size):
        counts[name, shape] = counts.get((name, shape), 0) + 1
    owned = _owned(channels.groups, channels.cost.names)
    nothing = np.zeros(len(channels.cost.names))
    found = []
    for (name, shape), calls in counts.items():
        module = network.body.get_submodule(name)
        input_axis, output_axis = (0, 1) if isinstance(module, nn.ConvTranspose2d) else (1, 0)
        weight = f"{name}.weight"
        # a grouped convolution's second axis counts channels once for all its groups
        scale = {0: 1, 1: shape.groups}
        outputs = owned.get((weight, output_axis), nothing) * scale[output_axis]
        inputs = owned.get((weight, input_axis), nothing) * scale[input_axis]
        if shape.groups == shape.inputs > 1:  # depthwise: what goes out was in
            inputs = outputs * shape.inputs / shape.outputs
        found.append(Site(name, shape, inputs, outputs, calls))
    return found


def _owned(groups: Sequence[ChannelGroup], names: Sequence[str]) -> dict[tuple[str, int], np.ndarray]:
    """Tensor and axis -> how many of its positions each group owns."""
    index = {name: k for k, name in enumerate(names)}
    owned: dict[tuple[str, int], np.ndarray] = {}
    for group in groups:
        for member in group.members:
            row = owned.setdefault((member.tensor, member.dim), np.zeros(len(names)))
            row[index[group.name]] += member.positions.size
    return owned


def _shapes(network: Network, lr_size: tuple[int, int]) -> list[tuple[str, Shape]]:
    """The layers that one run calls, in order."""
    met: list[tuple[str, Shape]] = []

    def watch(name: str) -> Any:
        return lambda module, given, _: met.append((name, shape_of(module, tuple(given[0].shape))))

    try:
        runner, image = without_weights(network), example(lr_size, "meta")
        _run(runner, image, watch)
    except (RuntimeError, NotImplementedError, TypeError, ValueError):
        met.clear()
        _run(network, example(lr_size, next(network.parameters()).device), watch)
    return met


def _run(network: Network, image: torch.Tensor, watch: Any) -> None:
    handles = [
        module.register_forward_hook(watch(name))
        for name, module in network.body.named_modules()
        if type(module) in LAYERS
    ]
    try:
        with at_rest(network):
            network(image)
    finally:
        for handle in handles:
            handle.remove()


def shape_of(module: nn.Module, given: tuple[int, ...]) -> Shape:
    """What the time of `module` depends on, fed a tensor of this shape."""
    if isinstance(module, nn.Linear):
        rows = int(np.prod(given[:-1]))
        return Shape("linear", module.in_features, module.out_features, 1, (), (), (), (), (rows,))
    assert isinstance(module, nn.Conv2d | nn.ConvTranspose2d)
    padding = module.padding
    if isinstance(padding, str):
        padding = tuple((k - 1) * d // 2 if padding == "same" else 0 for k, d in
                        zip(module.kernel_size, module.dilation, strict=True))  # fmt: skip
    kind = "transposed" if isinstance(module, nn.ConvTranspose2d) else "conv"
    return Shape(
        kind,
        module.in_channels,
        module.out_channels,
        module.groups,
        tuple(module.kernel_size),
        tuple(module.stride),
        tuple(padding),
        tuple(module.dilation),
        given[-2:],
    )
