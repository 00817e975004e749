"""Run a network once and record which positions of which tensors belong together.

The trace is eager: a dispatch mode sees every ATen call, so Python control flow, in-place writes and data-dependent
branches are followed as they happen.
"""

import sys
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from types import FrameType
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_iter
from torch.utils.weak import WeakTensorKeyDictionary

from espalier.channels.atoms import Atoms
from espalier.channels.labels import Label, axis


@dataclass(frozen=True)
class SizeUse:
    """A module used the integer `value` as the size of an axis (or of a part of it) that may be cut."""

    module: str
    value: int
    label: Label
    dim: int
    start: int = 0
    stop: int | None = None
    attribute: str | None = None
    """Name of the attribute that holds the integer, where the rule knows it."""
    among: tuple[int, ...] = ()
    """All the sizes passed at once, where `value` was one of several."""
    place: int = 0
    """Which of `among` it was."""


@dataclass(frozen=True)
class Product:
    """A contraction, whose cost is proportional to what survives of each factor."""

    call: tuple[str, int]
    module: str
    macs: int
    factors: Label


@dataclass(frozen=True)
class Event:
    """An operator as it ran, for naming what channels are used for."""

    name: str
    labels: tuple[Label, ...]
    """Of its tensor arguments, in order."""
    shapes: tuple[tuple[int, ...], ...]
    out: tuple[int, ...]
    """Shape of its first result."""
    numbers: tuple[int | None, ...]
    """Its positional arguments that are integers, in their places."""


@dataclass(frozen=True)
class Unknown:
    """An operator without a rule: the channels that it touched are pinned."""

    operator: str
    module: str
    line: str

    def __str__(self) -> str:
        return (
            f"no rule for the operator {self.operator} in module {self.module or '(root)'} at {self.line}; "
            "the channels it touches stay whole. To add one, see 'an operator rule' in CONTRIBUTING.md"
        )


@dataclass
class Trace:
    """What a traced run has shown."""

    atoms: Atoms = field(default_factory=Atoms)
    owners: dict[str, tuple[Tensor | None, ...]] = field(default_factory=dict)
    """Tensor name -> for each axis its atoms, or None where it has size 1."""
    buffers: set[str] = field(default_factory=set)
    """Names of the tensors that are not parameters."""
    grids: list[Tensor] = field(default_factory=list)
    """Atoms that must stay rectangular: equally many survivors in each row that is left."""
    sizes: list[SizeUse] = field(default_factory=list)
    products: list[Product] = field(default_factory=list)
    normalised: list[Tensor] = field(default_factory=list)
    """Atoms over which statistics run."""
    unknown: list[Unknown] = field(default_factory=list)
    events: list[Event] = field(default_factory=list)
    calls: Counter[str] = field(default_factory=Counter)
    """How often each operator has run."""


@dataclass(frozen=True)
class Call:
    """One dispatched operator, as its rule sees it."""

    name: str
    func: Any
    args: tuple[Any, ...]
    kwargs: dict[str, Any]
    out: Any
    tracer: "Tracer"

    @property
    def key(self) -> tuple[str, int]:
        """Identifies this call in every run of the same network."""
        return self.name, self.tracer.trace.calls[self.name]

    @property
    def atoms(self) -> Atoms:
        return self.tracer.trace.atoms

    @property
    def reason(self) -> str:
        return f"{self.name} in {self.tracer.module or 'the network'}"

    def arg(self, index: int, keyword: str, default: Any = None) -> Any:
        """An argument by position or keyword."""
        return self.args[index] if index < len(self.args) else self.kwargs.get(keyword, default)

    def label(self, tensor: Tensor | None) -> Label:
        return () if tensor is None else self.tracer.label(tensor)

    def operand(self, tensor: Tensor) -> tuple[Label, Sequence[int]]:
        """Label and shape for `meet`; a dimension that the tensor was expanded along counts as broadcast."""
        return self.label(tensor), [1 if tensor.stride(d) == 0 else s for d, s in enumerate(tensor.shape)]

    def tensors(self) -> list[Tensor]:
        return [t for t in tree_iter((self.args, self.kwargs)) if isinstance(t, Tensor)]

    def outputs(self) -> list[Tensor]:
        return [t for t in tree_iter(self.out) if isinstance(t, Tensor)]

    def give(self, label: Label, out: Tensor | None = None) -> None:
        """Set the label of the result."""
        self.tracer.set_label(self.outputs()[0] if out is None else out, label)

    def pin(self, factors: Label, why: str = "") -> None:
        for factor in factors:
            self.atoms.pin(factor, why or self.reason)

    def normalises(self, factors: Label) -> None:
        self.tracer.trace.normalised.extend(factors)

    def grid(self, label: Label) -> None:
        self.tracer.trace.grids.extend(f for f in label if sum(s > 1 for s in f.shape) > 1)

    def product(self, macs: int, factors: Label) -> None:
        self.tracer.trace.products.append(Product(self.key, self.tracer.module, macs, factors))

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
        use = SizeUse(self.tracer.module, value, label, dim, start, stop, attribute, among, place)
        self.tracer.trace.sizes.append(use)


class Tracer(TorchDispatchMode):
    """Labels every tensor of a run; the rules in `espalier.channels.rules` say how."""

    recording = True
    """Whether events are kept."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        from espalier.channels.rules import find_rule

        self.find_rule = find_rule
        self.trace = Trace()
        self.labels = WeakTensorKeyDictionary()
        self.stack: list[str] = []
        self.used: set[int] = set()
        for name, tensor in named_tensors(network):
            self._own(name, tensor)

    @property
    def module(self) -> str:
        return self.stack[-1] if self.stack else ""

    def label(self, tensor: Tensor) -> Label:
        return self.labels.get(tensor, ())

    def set_label(self, tensor: Tensor, label: Label) -> None:
        self.labels[tensor] = label

    def _own(self, name: str, tensor: Tensor) -> None:
        if not tensor.is_floating_point():
            return
        known = self.labels.get(tensor)
        if known is None:
            axes = [self.trace.atoms.new(size) if size > 1 else None for size in tensor.shape]
            known = tuple(axis(a, d, tensor.ndim) for d, a in enumerate(axes) if a is not None)
            self.labels[tensor] = known
        if not isinstance(tensor, nn.Parameter):
            self.trace.buffers.add(name)
        self.trace.owners[name] = tuple(
            next((f.reshape(-1) for f in known if f.shape[d] > 1), None) for d in range(tensor.ndim)
        )

    def __torch_dispatch__(
        self,
        func: Any,
        types: Sequence[type],
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:
        del types
        kwargs = kwargs or {}
        name = operator_name(func)
        out = self.run(name, func, args, kwargs)
        self.trace.calls[name] += 1
        labelled = [t for t in tree_iter((args, kwargs)) if isinstance(t, Tensor) and self.labels.get(t)]
        if labelled:
            self.used.update(id(t) for t in labelled)
            self._apply_rule(name, func, args, kwargs, out)
        return out

    def run(self, name: str, func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """Carry the operator out; the proof's masked run does it differently."""
        del name
        return func(*args, **kwargs)

    def unused(self, network: nn.Module) -> list[Tensor]:
        """Tensors with channels that no run has touched yet."""
        return [t for _, t in named_tensors(network) if id(t) not in self.used and self.label(t)]

    def pin_unused(self, network: nn.Module) -> None:
        """A tensor that this run never touched may matter in another, so it stays whole."""
        for tensor in self.unused(network):
            for factor in self.label(tensor):
                self.trace.atoms.pin(factor, "not used in the traced run")

    def _apply_rule(
        self, name: str, func: Any, args: tuple[Any, ...], kwargs: dict[str, Any], out: Any
    ) -> None:
        call = Call(name, func, args, kwargs, out, self)
        rule = self.find_rule(name, func)
        if rule is None:
            self.trace.unknown.append(Unknown(func._schema.name, self.module, _user_line()))
            for tensor in call.tensors():
                call.pin(
                    call.label(tensor), f"operator without a rule: {name} in {self.module or 'the network'}"
                )
        elif call.outputs():
            if self.recording:
                self.trace.events.append(_event(call))
            rule(call)


def _event(call: Call) -> Event:
    tensors = call.tensors()
    return Event(
        call.name,
        tuple(call.label(t) for t in tensors),
        tuple(tuple(t.shape) for t in tensors),
        tuple(call.outputs()[0].shape),
        tuple(a if isinstance(a, int) else None for a in call.args),
    )


def operator_name(func: Any) -> str:
    """ "aten::view" as "view"; custom operators keep their namespace."""
    return func._schema.name.removeprefix("aten::")


def named_tensors(network: nn.Module) -> list[tuple[str, Tensor]]:
    """All parameters and buffers by name, tied ones under each of their names."""
    return [
        *network.named_parameters(remove_duplicate=False),
        *network.named_buffers(remove_duplicate=False),
    ]


def trace(network: nn.Module, inputs: Sequence[Any]) -> Trace:
    """Run `network(*inputs)` in evaluation mode, without gradients, and record its channels.

    The inputs are cloned first: some networks write into them.
    """
    tracer = Tracer(network)
    outputs = traced_run(network, tracer, [x.clone() if isinstance(x, Tensor) else x for x in inputs])
    for output in tree_iter(outputs):
        if isinstance(output, Tensor):
            for factor in tracer.label(output):
                tracer.trace.atoms.pin(factor, "the network's output")
    if tracer.unused(network):
        _follow_training(network, tracer, [x.clone() if isinstance(x, Tensor) else x for x in inputs])
    tracer.pin_unused(network)
    return tracer.trace


def _follow_training(network: nn.Module, tracer: Tracer, inputs: Sequence[Any]) -> None:
    """Run as in training too: there a network runs all of the experts among which it chooses otherwise.

    Unions, grids and sizes are kept; cost and unknown operators are those of evaluation. Torch's own layers stay in
    evaluation mode, so nothing is dropped at random and no statistics are gathered.
    """
    found = tracer.trace
    lengths = len(found.products), len(found.unknown)
    buffers = {buffer: buffer.clone() for buffer in network.buffers()}
    own = [m for m in network.modules() if not type(m).__module__.startswith("torch.nn.")]
    try:
        with torch.random.fork_rng(devices=[]):
            traced_run(network, tracer, inputs, training=own)
    except Exception:  # code for training may want what is not here; what it has shown holds
        pass
    for buffer, value in buffers.items():
        buffer.copy_(value)
    del found.products[lengths[0] :], found.unknown[lengths[1] :]


def traced_run(
    network: nn.Module, tracer: Tracer, inputs: Sequence[Any], *, training: Sequence[nn.Module] = ()
) -> Any:
    """What the network gives without gradients, with `tracer` watching; all but `training` in evaluation mode."""
    handles = _follow_modules(network, tracer.stack)
    modes = {module: module.training for module in network.modules()}
    fast = torch.backends.mha.get_fastpath_enabled()
    torch.backends.mha.set_fastpath_enabled(False)
    network.eval()
    for module in training:
        module.training = True
    try:
        with torch.no_grad(), tracer:
            return network(*inputs)
    finally:
        torch.backends.mha.set_fastpath_enabled(fast)
        for handle in handles:
            handle.remove()
        for module, mode in modes.items():
            module.training = mode


def _follow_modules(network: nn.Module, stack: list[str]) -> list[Any]:
    handles = []
    for name, module in network.named_modules():
        handles.append(module.register_forward_pre_hook(lambda *_, name=name: stack.append(name)))
        handles.append(module.register_forward_hook(lambda *_: _leave(stack), always_call=True))
    return handles


def _leave(stack: list[str]) -> None:
    stack.pop()


def _user_line() -> str:
    """Where in the network's own code the current operator was called."""
    frame: FrameType | None = sys._getframe(1)
    while frame is not None:
        path = frame.f_code.co_filename
        if "/torch/" not in path and "espalier/channels" not in path and not path.startswith("<"):
            return f"{path}:{frame.f_lineno}"
        frame = frame.f_back
    return "an unknown line"
