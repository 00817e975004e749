"""What every layer of the dense network gives, at a sample of positions: the targets of the pruned one."""

import zlib
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from espalier.calibration.layers import Layer, input_rows, output_rows, places, positions
from espalier.calibration.solve import gram
from espalier.calibration.watching import Watcher, partner, tensors
from espalier.errors import NetworkError

SAMPLE = 16384
"""Output positions at which a layer is sampled."""


@dataclass
class Record:
    """One layer in the dense network."""

    where: Tensor
    output: Tensor
    """What the layer gives, (positions, channels)."""
    positions: int
    """Output positions in all."""
    moments: Tensor | None = None
    """Mean of outer products of its input rows, (groups, columns, columns), where it was asked for."""
    total: Tensor | None = None
    """The same after something was added to it, where that is the first thing that becomes of it."""
    rectified: bool = False
    """Whether only the positive part goes on."""
    calls: int = 1


class Recorder(Watcher):
    """Gathers a record for each layer, with the moments of its inputs for `readers`."""

    def __init__(self, network: nn.Module, readers: Collection[str] = (), rows: int = SAMPLE) -> None:
        super().__init__(network)
        self.rows = rows
        self.records: dict[str, Record] = {}
        self.readers = readers
        self.fresh: dict[int, tuple[Tensor, str, Layer]] = {}

    def returned(self, name: str, layer: Layer, x: Tensor, output: Tensor) -> None:
        if name in self.records:
            self.records[name].calls += 1
            return
        where = places(layer, output, self.rows, zlib.crc32(name.encode()))
        values = output_rows(layer, output, where)
        if not torch.isfinite(values).all():
            raise NetworkError(
                f"the layer {name} gives numbers that are not finite on the calibration images; expected finite "
                "ones, so nothing can be refitted to them; check the weights and the range of the input"
            )
        moments = _moments(input_rows(layer, x, output, where)) if name in self.readers else None
        self.records[name] = Record(where, values, positions(layer, output), moments)
        self.fresh[id(output)] = (output, name, layer)

    def used(self, name: str, args: Sequence[Any]) -> None:
        for tensor in tensors(args):
            output, layer_name, _ = self.fresh.get(id(tensor), (None, "", None))
            if output is tensor and name in ("relu", "relu_"):
                self.records[layer_name].rectified = True

    def done(self, name: str, args: Sequence[Any], out: Any) -> None:
        for tensor in tensors(args):
            output, layer_name, layer = self.fresh.get(id(tensor), (None, "", None))
            if output is not tensor or layer is None or name == "detach":
                continue
            del self.fresh[id(tensor)]
            record = self.records[layer_name]
            if record.total is None and partner(name, args, tensor) is not None:
                record.total = output_rows(layer, out, record.where)
                self.fresh[id(out)] = (out, layer_name, layer)  # a ReLU may follow


def _moments(rows: Tensor) -> Tensor:
    return torch.stack([gram(part) / len(part) for part in rows.unbind(1)])


def record(
    network: nn.Module, inputs: Tensor, readers: Collection[str] = (), *, rows: int = SAMPLE
) -> dict[str, Record]:
    """Run the dense network once; layer name -> what it gave.

    Args:
        readers: layers whose inputs' second moments are wanted.
        rows: positions at which each layer is sampled.

    Raises:
        NetworkError: a layer gives numbers that are not finite.
    """
    recorder = Recorder(network, readers, rows)
    with torch.no_grad():
        recorder.run(inputs)
    return recorder.records
