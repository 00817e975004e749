"""Refit every layer of a pruned network to what the dense one gave, in one forward pass.

The pass runs on all calibration patches at once. When a layer has given its output, and before anything else is done
with it, its weights are solved for and its output is corrected; so every layer sees the inputs that the already
refitted layers before it give, and mends what they have left.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from espalier.calibration.layers import Layer, fill_, input_rows, matrix, output_rows, positions
from espalier.calibration.recording import Record
from espalier.calibration.solve import Rows, fit
from espalier.calibration.watching import Watcher, partner, tensors


@dataclass
class _Pending:
    """A layer's output that nothing has used yet."""

    name: str
    layer: Layer
    x: Tensor
    output: Tensor


@dataclass(frozen=True)
class Kept:
    """Which output channels of each layer the pruned network still has."""

    outputs: Mapping[str, Tensor] = field(default_factory=dict)

    def of(self, name: str, values: Tensor) -> Tensor:
        return values[:, self.outputs[name]] if name in self.outputs else values


class _Refitter(Watcher):
    def __init__(
        self, network: nn.Module, records: Mapping[str, Record], kept: Kept, solve: "Solve | None"
    ) -> None:
        super().__init__(network)
        self.solve = solve
        self.records = records
        self.kept = kept
        self.pending: dict[int, _Pending] = {}
        self.ready = False

    def returned(self, name: str, layer: Layer, x: Tensor, output: Tensor) -> None:
        record = self.records.get(name)
        # channels that lie along the batch of a layer are other positions once some are cut
        if record is not None and record.calls == 1 and record.positions == positions(layer, output):
            self.pending[id(output)] = _Pending(name, layer, x, output)

    def used(self, name: str, args: Sequence[Any]) -> None:
        if name == "detach":
            return
        for tensor in tensors(args):
            found = self.pending.get(id(tensor))
            if found is not None and found.output is tensor:
                del self.pending[id(tensor)]
                self._settle(found, partner(name, args, tensor))

    def done(self, name: str, args: Sequence[Any], out: Any) -> None:
        del name, args, out

    def _settle(self, pending: _Pending, added: Tensor | None) -> None:
        """Refit the layer and correct its output in place."""
        layer, record = pending.layer, self.records[pending.name]
        biased = layer.bias is not None
        rows = input_rows(layer, pending.x, pending.output, record.where, ones=biased)
        target = self.kept.of(pending.name, record.output)
        rectified = record.rectified
        if record.total is not None and added is not None:
            target = self.kept.of(pending.name, record.total) - output_rows(layer, added, record.where)
        elif record.total is not None:
            rectified = False
        offset = output_rows(layer, added, record.where) if rectified and added is not None else None
        if self.solve is None:
            refit_(layer, rows, target, rectified, offset)
        else:
            self.solve(pending.name, layer, rows, target, rectified, offset)
        pending.output.copy_(layer.forward(pending.x))


Solve = Callable[[str, Layer, Tensor, Tensor, bool, Tensor | None], None]
"""As `refit_`, and told the layer's name first."""


def refit_(layer: Layer, rows: Tensor, target: Tensor, rectified: bool, offset: Tensor | None = None) -> None:
    """Solve for the weights with which `rows` give `target` (positions, outputs).

    Args:
        rows: (positions, groups, columns), the last column all ones where the layer has a bias.
    """
    start = matrix(layer)
    outputs = start.shape[1]
    if layer.bias is not None:
        bias = layer.bias.detach().double().view(len(start), outputs, 1)
        start = torch.cat([start, bias], 2)
    solved = []
    for g, first in enumerate(start):
        part = slice(g * outputs, (g + 1) * outputs)
        moved = offset[:, part] if offset is not None else None
        solved.append(fit(Rows(rows[:, g], target[:, part], rectified, moved), first))
    weights = torch.stack(solved)
    if layer.bias is None:
        fill_(layer, weights, None)
    else:
        fill_(layer, weights[..., :-1], weights[..., -1].flatten())


def refit(
    network: nn.Module,
    inputs: Tensor,
    records: Mapping[str, Record],
    outputs: Mapping[str, Tensor],
    solve: Solve | None = None,
) -> None:
    """Refit all layers of `network`, in place.

    Args:
        inputs: what the dense network was recorded on.
        records: of the dense network.
        outputs: layer name -> the dense network's output channels that are left, where some were cut.
        solve: what solves for a layer's weights instead of `refit_`.
    """
    refitter = _Refitter(network, records, Kept(outputs), solve)
    with torch.no_grad():
        refitter.run(inputs)
        for pending in list(refitter.pending.values()):
            refitter._settle(pending, None)
