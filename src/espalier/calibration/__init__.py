"""Calibration: what a dense network does with real images, and refitting a pruned one to it by least squares."""

from collections.abc import Sequence

from torch import Tensor, nn

from espalier.calibration.damage import Statistics, consumers_of, damages, losses, reader
from espalier.calibration.elimination import Consumer, Elimination, eliminate
from espalier.calibration.recording import SAMPLE, Record, record
from espalier.calibration.refit import refit
from espalier.calibration.sensitivity import sensitivities
from espalier.calibration.turning import linear_groups, turn_
from espalier.channels import ChannelGroup


def observe(
    network: nn.Module, inputs: Tensor, groups: Sequence[ChannelGroup], *, probes: int = 8, rows: int = SAMPLE
) -> Statistics:
    """Run the dense network over `inputs`, and backward over about `probes` of them; each layer at `rows` positions.

    Memory: the network's own activations for all inputs at once; for each layer that reads channels of `groups` a
    float64 matrix of (input channels x kernel taps) squared, and a sample of what each layer gives.
    """
    readers = {
        found[0]
        for group in groups
        for member in group.members
        if (found := reader(network, member)) is not None
    }
    records = record(network, inputs, readers, rows=rows)
    return Statistics(records, sensitivities(network, inputs[:: max(1, len(inputs) // probes)]))


__all__ = [
    "SAMPLE",
    "Consumer",
    "Elimination",
    "Record",
    "Statistics",
    "consumers_of",
    "damages",
    "eliminate",
    "linear_groups",
    "losses",
    "observe",
    "record",
    "refit",
    "sensitivities",
    "turn_",
]
