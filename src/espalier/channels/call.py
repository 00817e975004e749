"""One dispatched operator, as its rule sees it."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from torch import Tensor
from torch.utils._pytree import tree_iter
from torch.utils.weak import WeakTensorKeyDictionary

from espalier.channels.atoms import Atoms
from espalier.channels.labels import Label
from espalier.channels.records import Product, SizeUse, Trace


@dataclass(frozen=True)
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
    labels: WeakTensorKeyDictionary

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
        return () if tensor is None else self.labels.get(tensor, ()) or ()

    def operand(self, tensor: Tensor) -> tuple[Label, Sequence[int]]:
        """Label and shape for `meet`; a dimension that the tensor was expanded along counts as broadcast."""
        return self.label(tensor), [1 if tensor.stride(d) == 0 else s for d, s in enumerate(tensor.shape)]

    def tensors(self) -> list[Tensor]:
        return [t for t in tree_iter((self.args, self.kwargs)) if isinstance(t, Tensor)]

    def outputs(self) -> list[Tensor]:
        return [t for t in tree_iter(self.out) if isinstance(t, Tensor)]

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

    def normalises(self, factors: Label) -> None:
        self.trace.normalised.extend(factors)

    def grid(self, label: Label) -> None:
        self.trace.grids.extend(f for f in label if sum(s > 1 for s in f.shape) > 1)

    def product(self, macs: int, factors: Label) -> None:
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
        use = SizeUse(self.owner(), value, label, dim, start, stop, attribute, among, place)
        self.trace.sizes.append(use)
