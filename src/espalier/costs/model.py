"""The cost model of a network at one image size: all kinds of cost as functions of how many channels stay."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from espalier.channels import Channels
from espalier.channels.cost import CostModel, Curve, Terms
from espalier.costs.count import Cost, count
from espalier.costs.peaks import peak_curve
from espalier.costs.running import default_lr_size
from espalier.costs.sites import Site, sites
from espalier.costs.table import Latency, Table, Timer
from espalier.networks.network import Network


def model(
    network: Network,
    channels: Channels,
    *,
    size: tuple[int, int] | None = None,
    counted: Cost | None = None,
    kinds: tuple[str, ...] = (),
    timer: Timer | None = None,
    whole: float | None = None,
) -> CostModel:
    """MACs and parameters always; of activations, memory and latency those in `kinds`.

    Args:
        size: height and width of the image that the network makes; 1280 x 720 by default.
        counted: what `count` gave at that size, if it is known.
        timer: what latency is measured with, one layer at a time (see `espalier.costs.table`).
        whole: milliseconds of the dense network; what its layers do not explain shrinks with their output.
    """
    lr_size = lr_size_of(network.scale, size)
    cost = counted or count(network, lr_size)
    known = channels.cost.at_size({layer.name: layer.macs for layer in cost.layers})
    places = sites(network, channels, lr_size) if {"activations", "latency"} & set(kinds) else []
    further: dict[str, Curve] = {}
    if "activations" in kinds:
        further["activations"] = _activations(cost, places, len(known.names))
    if "memory" in kinds:
        further["memory"] = peak_curve(network, channels, lr_size)
    if "latency" in kinds:
        assert timer is not None
        further["latency"] = Latency(places, Table(timer), whole)
    return replace(known, further=further)


def lr_size_of(scale: int, size: tuple[int, int] | None) -> tuple[int, int]:
    """The input size whose output is `size`, to the nearest pixel."""
    if size is None:
        return default_lr_size(scale)
    return max(1, round(size[0] / scale)), max(1, round(size[1] / scale))


def _activations(cost: Cost, places: Sequence[Site], groups: int) -> Terms:
    """Numbers that convolutions put out."""
    outputs = {site.name: site.lost_outputs / site.shape.outputs for site in places}
    shares = np.zeros((len(cost.layers), groups + 1))
    for row, layer in zip(shares, cost.layers, strict=True):
        row[:groups] = outputs.get(layer.name, 0.0)
        row[groups] = 1 - row[:groups].sum()
    weights = np.array([float(layer.activations) for layer in cost.layers])
    return Terms(weights, np.arange(len(weights)), shares)
