"""Parameters, MACs and activations, counted by running the network once without its weights."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.flop_counter import flop_registry

from espalier.costs.running import at_rest, default_lr_size, example, without_weights
from espalier.dispatch import Mode
from espalier.networks.network import Network

_CONVOLUTIONS = (torch.ops.aten.convolution, torch.ops.aten._convolution)
_SMALL = (64, 64)


@dataclass(frozen=True)
class Layer:
    """What one module does itself, without its children, over all its calls."""

    name: str
    operator: str
    calls: int
    params: int
    macs: int
    activations: int
    """Numbers that its convolutions put out."""
    output: tuple[int, ...]
    """Shape of the last output."""


@dataclass(frozen=True)
class Cost:
    """Counts of one forward pass of one image of `input_size`."""

    params: int
    macs: int
    """Multiply-accumulates of convolutions, linear layers and attention: half of what is called FLOPs."""
    activations: int
    """Numbers that convolutions put out, as the NTIRE efficient super-resolution challenge counts them."""
    convs: int
    """Convolutions run."""
    input_size: tuple[int, int]
    """Height and width of the low-resolution input."""
    layers: tuple[Layer, ...] = field(default=(), repr=False)
    note: str = ""
    """What is not exact about these counts, if anything."""

    def to_dict(self) -> dict[str, Any]:
        """The figures without the layers, for JSON."""
        figures = {name: getattr(self, name) for name in ("params", "macs", "activations", "convs")}
        return {**figures, "input_size": list(self.input_size), **({"note": self.note} if self.note else {})}


def count(network: Network, lr_size: tuple[int, int] | None = None) -> Cost:
    """Count what `network` costs for an `lr_size` (height, width) input, by default of a 1280 x 720 output.

    The bicubic enlargement that some networks are fed is not counted. A network whose code cannot run without
    values is run at 64 x 64 and its counts are scaled by area: `note` says so.
    """
    size = lr_size or default_lr_size(network.scale)
    try:
        counter = _run(without_weights(network), size, "meta")
    except (RuntimeError, NotImplementedError, TypeError, ValueError):
        return _scaled_up(network, size)
    return _cost(network, counter, size)


def _run(network: Network, size: tuple[int, int], device: str) -> "Counter":
    with at_rest(network):
        native = network.encode(example(size, device))
        return count_body(network.body, native)


def count_body(body: nn.Module, native: Tensor) -> "Counter":
    """Run `body` on its own input and record every operator that multiplies."""
    counter = Counter()
    with torch.no_grad(), _named(body, counter.path), counter:
        body(native)
    return counter


@dataclass
class _Record:
    operator: str
    calls: int = 0
    macs: int = 0
    activations: int = 0
    output: tuple[int, ...] = ()


class Counter(Mode):
    """Records every operator that multiplies, by the module at the end of `path`."""

    def __init__(self) -> None:
        super().__init__()
        self.path: list[str] = []
        self.records: dict[str, _Record] = {}

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        out = func(*args, **(kwargs or {}))
        packet = func._overloadpacket
        if packet in flop_registry:
            flops = flop_registry[packet](*args, **(kwargs or {}), out_val=out)
            self._add(packet, flops // 2, out[0] if isinstance(out, tuple) else out)
        return out

    def _add(self, packet: Any, macs: int, out: Tensor) -> None:
        name = self.path[-1] if self.path else ""
        record = self.records.setdefault(name, _Record(packet.__name__))
        record.calls += 1
        record.macs += int(macs)
        record.output = tuple(out.shape)
        if packet in _CONVOLUTIONS:
            record.activations += out.numel()

    @property
    def convs(self) -> int:
        names = {packet.__name__ for packet in _CONVOLUTIONS}
        return sum(record.calls for record in self.records.values() if record.operator in names)


@contextmanager
def _named(body: nn.Module, path: list[str]) -> Iterator[None]:
    """Keep the name of the module that is running at the end of `path`."""

    def entering(name: str) -> Any:
        return lambda *_: path.append(name)

    def leaving(*_: Any) -> None:
        path.pop()

    handles = []
    for name, module in body.named_modules():
        handles.append(module.register_forward_pre_hook(entering(name)))
        handles.append(module.register_forward_hook(leaving))
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


def _cost(network: Network, counter: Counter, size: tuple[int, int]) -> Cost:
    modules = dict(network.body.named_modules())
    layers = tuple(
        Layer(name, r.operator, r.calls, _own_params(modules[name]), r.macs, r.activations, r.output)
        for name, r in counter.records.items()
    )
    return Cost(
        params=sum(p.numel() for p in network.body.parameters()),
        macs=sum(layer.macs for layer in layers),
        activations=sum(layer.activations for layer in layers),
        convs=counter.convs,
        input_size=size,
        layers=layers,
    )


def _own_params(module: nn.Module) -> int:
    return sum(p.numel() for p in module.parameters(recurse=False))


def _scaled_up(network: Network, size: tuple[int, int]) -> Cost:
    device = next((p.device for p in network.parameters()), torch.device("cpu"))
    if size[0] * size[1] <= _SMALL[0] * _SMALL[1]:
        return _cost(network, _run(network, size, str(device)), size)
    small = _cost(network, _run(network, _SMALL, str(device)), _SMALL)
    factor = size[0] * size[1] / (_SMALL[0] * _SMALL[1])
    layers = tuple(
        replace(layer, macs=round(layer.macs * factor), activations=round(layer.activations * factor))
        for layer in small.layers
    )
    return replace(
        small,
        macs=round(small.macs * factor),
        activations=round(small.activations * factor),
        input_size=size,
        layers=layers,
        note=f"counted at {_SMALL[1]}x{_SMALL[0]} and scaled by area to {size[1]}x{size[0]}",
    )
