"""What each channel's loss costs the image: every group's layers, their statistics, and the elimination over them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from espalier.calibration.elimination import DAMPING, Consumer, Elimination, eliminate
from espalier.calibration.layers import Layer, groups_of, input_axis, is_layer, matrix
from espalier.calibration.recording import Record
from espalier.channels import ChannelGroup, Member


@dataclass(frozen=True)
class Statistics:
    """What one run of the dense network over the calibration patches has shown."""

    records: Mapping[str, Record]
    sensitivities: Mapping[str, Tensor]
    """Layer -> (channels, channels), what an error in its output costs the image."""


def damages(
    network: nn.Module, groups: Sequence[ChannelGroup], found: Statistics, *, damping: float = DAMPING
) -> dict[str, Elimination]:
    """Group name -> order in which its channels go, and the squared error of the image that this adds up to.

    The layers that read the channels are taken as refitted after each; errors of different layers are added.
    """
    result = {}
    for group in groups:
        consumers = [c for member in group.members for c in consumers_of(network, member, found)]
        result[group.name] = eliminate(consumers, damping) if consumers else _by_output(network, group, found)
    return result


def losses(network: nn.Module, groups: Sequence[ChannelGroup], found: Statistics) -> dict[str, Elimination]:
    """As `damages`, each channel for itself and nothing refitted: the second-order Taylor term of its removal."""
    result = {}
    for group in groups:
        consumers = [c for member in group.members for c in consumers_of(network, member, found)]
        result[group.name] = _alone(consumers) if consumers else _by_output(network, group, found)
    return result


def _alone(consumers: Sequence[Consumer]) -> Elimination:
    total = torch.zeros(len(consumers[0].columns), dtype=torch.float64)
    for consumer in consumers:
        own = consumer.columns
        blocks = consumer.moments[own[:, :, None], own[:, None, :]]
        weights = consumer.weights[:, own].permute(1, 2, 0)
        total += (weights * (blocks @ weights)).sum((1, 2)).cpu()
    return _in_order(total.numpy())


def reader(network: nn.Module, member: Member) -> tuple[str, Layer] | None:
    """The layer that sums over these channels, with its name; None where the tensor is something else."""
    name, _, kind = member.tensor.rpartition(".")
    layer = network.get_submodule(name)
    if kind != "weight" or not is_layer(layer) or member.dim != input_axis(layer):
        return None
    if isinstance(layer, nn.ConvTranspose2d) and layer.groups > 1:
        return None
    return name, layer


def consumers_of(network: nn.Module, member: Member, found: Statistics) -> list[Consumer]:
    """The layer that reads these channels through this tensor, one entry for each of its convolution groups."""
    read = reader(network, member)
    if read is None or read[0] not in found.records:
        return []
    name, layer = read
    moments = found.records[name].moments
    assert moments is not None
    weights, taps = matrix(layer), layer.weight[0, 0].numel()
    owned = torch.from_numpy(member.positions)
    columns = (owned[:, :, None] * taps + torch.arange(taps)).flatten(1).to(weights.device)
    return [
        Consumer(moments[g], root @ weights[g], columns) for g, root in enumerate(_roots(name, layer, found))
    ]


def _roots(name: str, layer: Layer, found: Statistics) -> list[Tensor]:
    """For each convolution group R with R^T R = positions x sensitivity of its outputs."""
    outputs = matrix(layer).shape[1]
    positions = found.records[name].positions
    whole = found.sensitivities.get(name)
    roots = []
    for g in range(groups_of(layer)):
        part = slice(g * outputs, (g + 1) * outputs)
        if whole is None:
            roots.append(torch.eye(outputs, dtype=torch.float64) * positions**0.5)
            continue
        values, vectors = torch.linalg.eigh(whole[part, part] * positions)
        roots.append(values.clamp(min=0).sqrt()[:, None] * vectors.T)
    return roots


def _by_output(network: nn.Module, group: ChannelGroup, found: Statistics) -> Elimination:
    """For channels that no layer reads directly: the energy of what makes them, weighed by its sensitivity."""
    total = np.zeros(group.channels)
    for member in group.members:
        name, _, kind = member.tensor.rpartition(".")
        layer, record = network.get_submodule(name), found.records.get(name)
        if record is None or kind != "weight" or not is_layer(layer) or member.dim == input_axis(layer):
            continue
        energy = record.output.double().square().mean(0) * record.positions
        if name in found.sensitivities:
            energy = energy * found.sensitivities[name].diagonal()
        total += energy.cpu().numpy()[member.positions].sum(1)
    return _in_order(total)


def _in_order(costs: np.ndarray) -> Elimination:
    order = np.argsort(costs, kind="stable")
    return Elimination(order, np.cumsum(costs[order]))
