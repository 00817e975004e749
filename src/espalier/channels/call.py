"""One dispatched operator, as its rule sees it."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import torch
from torch import Tensor

from espalier.channels.atoms import Atoms
from espalier.channels.labels import Label, Labels
from espalier.channels.records import Alone, Product, SizeUse, Trace


@dataclass(slots=True, eq=False)
class Call:
    """One dispatched operator, as its rule sees it."""

    name: str
    func: Any
    args: tuple[Any, ...]
    kwargs: dict[str, Any]
    out: Any
    trace: Trace
    module: str
    """Name of the module that is running."""
    owner: Callable[[], str]
    """Name of the module whose code called the operator."""
    labels: Labels
    _tensors: list[Tensor]
    """Of the arguments."""
    _outputs: list[Tensor]
    recording: bool = True
    """Whether more than labels is wanted."""

    @property
    def key(self) -> tuple[str, int]:
        """Identifies this call in every run of the same network."""
        return self.name, self.trace.calls[self.name]

    @property
    def atoms(self) -> Atoms:
        return self.trace.atoms

    @property
    def reason(self) -> str:
        return f"{self.name} in {self.module or 'the network'}"

    def arg(self, index: int, keyword: str, default: Any = None) -> Any:
        """An argument by position or keyword."""
        return self.args[index] if index < len(self.args) else self.kwargs.get(keyword, default)

    def label(self, tensor: Tensor | None) -> Label:
        return () if tensor is None else self.labels.get(tensor) or ()

    def operand(self, tensor: Tensor) -> tuple[Label, Sequence[int]]:
        """Label and shape for `meet`; a dimension that the tensor was expanded along counts as broadcast."""
        return self.label(tensor), [1 if tensor.stride(d) == 0 else s for d, s in enumerate(tensor.shape)]

    def tensors(self) -> list[Tensor]:
        return self._tensors

    def outputs(self) -> list[Tensor]:
        return self._outputs

    def give(self, label: Label, out: Tensor | None = None) -> None:
        """Set the label of the result."""
        self.labels[self.outputs()[0] if out is None else out] = label
        for factor in label:
            self.trace.widths.update(factor.shape)

    def made(self, count: int) -> Tensor:
        """Fresh atoms for an axis of a tensor that the network makes on the way."""
        return self.atoms.make(count)

    def pin(self, factors: Label, why: str = "") -> None:
        for factor in factors:
            self.atoms.pin(factor, why or self.reason)

    def alone(self, factor: Tensor, position: Tensor) -> None:
        """Note that one position of a factor was taken by itself."""
        why = f"one channel taken alone by {self.reason}"
        axis = factor.reshape(-1)
        found = self.trace.alone.setdefault(
            axis.numpy().tobytes(), Alone(axis, torch.zeros(len(axis), dtype=torch.bool), why)
        )
        found.taken |= axis == position.reshape(-1)

    def pin_alone(self) -> None:
        """Keep the positions whole that an operator gets which stand by themselves; it sees them no more."""
        for tensor in self.tensors():
            label = self.label(tensor)
            lone = tuple(f for f in label if f.numel() == 1)
            if lone:
                self.pin(lone, f"one channel taken alone and used by {self.reason}")
                self.labels[tensor] = tuple(f for f in label if f.numel() > 1)

    def normalises(self, factors: Label) -> None:
        if self.recording:
            self.trace.normalised.extend(factors)

    def grid(self, label: Label) -> None:
        if self.recording:
            self.trace.grids.extend(f for f in label if sum(s > 1 for s in f.shape) > 1)

    def product(self, macs: int, factors: Label) -> None:
        if self.recording:
            self.trace.products.append(Product(self.key, self.module, macs, factors))

    def size(
        self,
        value: int,
        label: Label,
        dim: int,
        start: int = 0,
        stop: int | None = None,
        attribute: str | None = None,
        among: tuple[int, ...] = (),
        place: int = 0,
    ) -> None:
        """Note that the running module passed `value`, which counts positions of `label` along `dim`."""
        if self.recording:
            use = SizeUse(self.owner(), value, label, dim, start, stop, attribute, among, place)
            self.trace.sizes.append(use)


@cache
def operator_name(func: Any) -> str:
    """ "aten::view" as "view"; custom operators keep their namespace."""
    return func._schema.name.removeprefix("aten::")


def tensors_of(args: Sequence[Any], kwargs: dict[str, Any]) -> list[Tensor]:
    """The tensors among an operator's arguments, those in lists too, in order."""
    found: list[Tensor] = []
    for value in (*args, *kwargs.values()):
        if isinstance(value, Tensor):
            found.append(value)
        elif isinstance(value, list | tuple):
            found += [item for item in value if isinstance(item, Tensor)]
    return found
