"""Run a network once and record which positions of which tensors belong together.

The trace is eager: a dispatch mode sees every ATen call, so Python control flow, in-place writes and data-dependent
branches are followed as they happen.
"""

import math
import sys
from collections.abc import Sequence
from types import FrameType
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._pytree import tree_iter

from espalier.channels.atoms import Atoms
from espalier.channels.call import Call, operator_name, tensors_of
from espalier.channels.following import assignments, mkldnn, reads_training, running
from espalier.channels.labels import Label, Labels, axis
from espalier.channels.masked import COUNTING
from espalier.channels.patterns import READERS
from espalier.channels.records import Event, Trace, Unknown
from espalier.channels.rules import find_rule
from espalier.channels.rules.making import RULES as MAKERS
from espalier.channels.rules.movement import ALONE
from espalier.channels.unchanged import unchanged
from espalier.dispatch import Mode
from espalier.surgery import named_tensors


class Tracer(Mode):
    """Labels every tensor of a run; the rules in `espalier.channels.rules` say how."""

    recording = True
    """Whether events are kept."""

    def __init__(self, network: nn.Module, atoms: Atoms | None = None) -> None:
        super().__init__()
        self.network = network
        self.trace = Trace(atoms or Atoms())
        self.labels = Labels()
        self.stack: list[str] = []
        self.used: set[int] = set()
        self.names = {module: name for name, module in network.named_modules()}
        self.tensors = named_tensors(network)
        for name, tensor in self.tensors.items():
            self._own(name, tensor)
        self.trace.atoms.owned = self.trace.atoms.count

    @property
    def module(self) -> str:
        return self.stack[-1] if self.stack else ""

    def owner(self) -> str:
        """The module whose code is running: another than `module` where code calls methods of its parts directly."""
        frame: FrameType | None = sys._getframe(1)
        while frame is not None:
            module = self_of(frame)
            if module in self.names:
                return self.names[module]
            frame = frame.f_back
        return self.module

    def label(self, tensor: Tensor) -> Label:
        return self.labels.get(tensor) or ()

    def _own(self, name: str, tensor: Tensor) -> None:
        if not (tensor.is_floating_point() or tensor.is_complex()):
            return
        known = self.labels.get(tensor)
        if known is None:
            axes = [self.trace.atoms.new(size) if size > 1 else None for size in tensor.shape]
            known = tuple(axis(a, d, tensor.ndim) for d, a in enumerate(axes) if a is not None)
            self.labels[tensor] = known
            self.trace.widths.update(tensor.shape)
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
        if is_counted(name, args):
            labels = tuple(self.label(a) for a in args if isinstance(a, Tensor))
            self.trace.counted.append((name, labels))
            self.trace.rescales |= self.recording and self._reads_size(name, args, kwargs)
        tensors = tensors_of(args, kwargs)
        labelled = [id(t) for t in tensors if self.labels.get(t)]
        if labelled or name in MAKERS:
            self.used.update(labelled)
            call = Call(
                name, func, args, kwargs, out, self.trace, self.module, self.owner, self.labels,
                tensors, tensors_of((out,), {}), self.recording,
            )  # fmt: skip
            self._apply_rule(call)
        return out

    def _reads_size(self, name: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> bool:
        """Whether a factor is the root of a size of channels, and no number that a module remembers."""
        if name.startswith("_scaled_dot_product"):
            return kwargs.get("scale") is None
        if name not in FACTORS or not 1e-6 < args[1] < 1e6:
            return False
        sizes = (args[1] ** power for power in (2, -2))
        if not any(round(s) in self.trace.widths and math.isclose(s, round(s), rel_tol=1e-6) for s in sizes):
            return False
        return args[1] not in vars(self.network.get_submodule(self.owner())).values()

    def run(self, name: str, func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """Carry the operator out; the proof's masked run does it differently."""
        del name
        return func(*args, **kwargs)

    def unused(self) -> list[Tensor]:
        """Tensors with channels that no run has touched yet."""
        return [t for t in self.tensors.values() if id(t) not in self.used and self.label(t)]

    def settle_alone(self) -> None:
        """Positions that were taken one by one stay whole unless all of their axis were; those then go as they met."""
        gone_through: set[int] = set()
        for found in self.trace.alone.values():
            if found.taken.all():
                gone_through.update(found.atoms.tolist())
            else:
                self.trace.atoms.pin(found.atoms[found.taken], found.why)
        for atoms, reason in self.trace.met:
            kept = torch.tensor([a for a in atoms.tolist() if a in gone_through], dtype=torch.int64)
            self.trace.atoms.unite(kept, kept[:1], reason)

    def pin_unused(self) -> None:
        """A tensor that this run never touched may matter in another, so it stays whole."""
        for tensor in self.unused():
            for factor in self.label(tensor):
                self.trace.atoms.pin(factor, "not used in the traced run")

    def _apply_rule(self, call: Call) -> None:
        rule = find_rule(call.name, call.func)
        if rule is None:
            self._unknown(call, "no rule for")
        elif call.outputs():
            if self.trace.alone and call.name.rstrip("_") not in ALONE:
                call.pin_alone()
            if self.recording and call.name.rstrip("_") in READERS:
                self.trace.events.append(_event(call))
            try:
                rule(call)
            except Exception:  # a use that the rule did not foresee must not end the trace
                self._unknown(call, "an unforeseen use of")

    def _unknown(self, call: Call, problem: str) -> None:
        self.trace.unknown.append(Unknown(call.func._schema.name, self.module, _user_line(), problem))
        for tensor in call.tensors():
            call.pin(call.label(tensor), f"{problem} the operator {call.reason}")
        for out in call.outputs():
            call.give((), out)


def _event(call: Call) -> Event:
    tensors = call.tensors()
    return Event(
        call.name,
        tuple(call.label(t) for t in tensors),
        tuple(tuple(t.shape) for t in tensors),
        tuple(call.outputs()[0].shape),
        tuple(a if isinstance(a, int) else None for a in call.args),
    )


FACTORS = ("mul", "div")
"""Operators whose factor may be the root of a size."""


def is_counted(name: str, args: tuple[Any, ...]) -> bool:
    """Whether the result may depend on which positions of the operands live."""
    return name.rstrip("_") in COUNTING or (
        name in FACTORS and isinstance(args[0], Tensor) and isinstance(args[1], float)
    )


def trace(network: nn.Module, inputs: Sequence[Any]) -> Trace:
    """Run `network(*inputs)` in evaluation mode, without gradients, and record its channels.

    The inputs are cloned first: some networks write into them.
    """
    tracer = Tracer(network)
    with unchanged(network):
        outputs = traced_run(network, tracer, _copies(inputs))
    for output in tree_iter(outputs):
        if isinstance(output, Tensor):
            for factor in tracer.label(output):
                tracer.trace.atoms.pin(factor, "the network's output")
    spare = any(isinstance(tensor, nn.Parameter) for tensor in tracer.unused())
    if spare and reads_training(type(module) for module in tracer.names):
        with unchanged(network):
            _follow_training(network, tracer, _copies(inputs))
    tracer.settle_alone()
    tracer.pin_unused()
    return tracer.trace


def _copies(inputs: Sequence[Any]) -> list[Any]:
    return [x.clone() if isinstance(x, Tensor) else x for x in inputs]


def _follow_training(network: nn.Module, tracer: Tracer, inputs: Sequence[Any]) -> None:
    """Run as in training too: there a network runs all of the experts among which it chooses otherwise.

    Unions, grids and sizes are kept; cost and unknown operators are those of evaluation. Torch's own layers stay in
    evaluation mode, so nothing is dropped at random and no statistics are gathered.
    """
    found = tracer.trace
    calls = found.calls.copy()
    lists = found.products, found.unknown, found.events, found.counted
    lengths = [len(kept) for kept in lists]
    own = [m for m in network.modules() if not type(m).__module__.startswith("torch.nn.")]
    try:
        with torch.random.fork_rng(devices=[]):
            traced_run(network, tracer, inputs, training=own)
    except Exception:  # code for training may want what is not here; what it has shown holds
        pass
    found.calls = calls
    for kept, length in zip(lists, lengths, strict=True):
        del kept[length:]


def traced_run(
    network: nn.Module, tracer: Tracer, inputs: Sequence[Any], *, training: Sequence[nn.Module] = ()
) -> Any:
    """What the network gives without gradients, with `tracer` watching; all but `training` in evaluation mode."""
    modes = {module: module.training for module in tracer.names}
    fast = torch.backends.mha.get_fastpath_enabled()
    torch.backends.mha.set_fastpath_enabled(False)
    whole = any(isinstance(module, nn.RNNBase) for module in tracer.names)  # mkldnn runs such a layer in one
    network.eval()
    for module in training:
        module.training = True
    try:
        watched = assignments(tracer.names, tracer.trace), running(tracer.names, tracer.stack)
        with torch.no_grad(), watched[0], watched[1], tracer, mkldnn(not whole):
            return network(*inputs)
    finally:
        torch.backends.mha.set_fastpath_enabled(fast)
        for module, mode in modes.items():
            module.training = mode


def self_of(frame: FrameType) -> nn.Module | None:
    """The module whose method a frame runs, if it does."""
    code = frame.f_code
    if code.co_argcount and code.co_varnames[0] == "self":
        found = frame.f_locals.get("self")
        return found if isinstance(found, nn.Module) else None
    return None


def _user_line() -> str:
    """Where in the network's own code the current operator was called."""
    frame: FrameType | None = sys._getframe(1)
    while frame is not None:
        path = frame.f_code.co_filename
        if "/torch/" not in path and "espalier/channels" not in path and not path.startswith("<"):
            return f"{path}:{frame.f_lineno}"
        frame = frame.f_back
    return "an unknown line"
