"""Proof that a cut is right: the cut network equals the whole one in which the cut channels contribute nothing.

Both run in float64 on the same input. In the masked copy every slice that was cut is zero; dead positions are kept out
of sums, and statistics (norms, softmaxes, means) run over the living ones, as they do in the cut network.
"""

import copy
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_iter, tree_map

from espalier import surgery
from espalier.channels import masked
from espalier.channels.atoms import Classes
from espalier.channels.labels import Label
from espalier.channels.lowering import alive
from espalier.channels.trace import Trace, operator_name
from espalier.plan import PrunePlan

TOLERANCE = 1e-9
"""Largest relative difference, in float64, at which two outputs count as equal."""


@dataclass(frozen=True)
class Verdict:
    """Whether a cut was right."""

    equal: bool
    difference: float
    """Largest absolute difference relative to the largest output."""
    reason: str = ""
    module: str = ""
    """Where the cut network's own code failed, if it did."""


class MaskedRun(TorchDispatchMode):
    """Replays the traced sequence of calls with dead positions left out where it matters."""

    def __init__(self, trace: Trace, classes: Classes, dead: np.ndarray) -> None:
        super().__init__()
        self.calls: Counter[str] = Counter()
        self.guards = trace.guards
        self.mask: Callable[[Label], Tensor | None] = lambda label: _mask(label, classes, dead)

    def __torch_dispatch__(
        self, func: Any, types: Sequence[type], args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        del types
        name = operator_name(func)
        self.calls[name] += 1
        labels = self.guards.get((name, self.calls[name]))
        if labels is not None:
            masks = [None if label is None else self.mask(label) for label in labels]
            if any(m is not None for m in masks):
                return masked.call(func, args, kwargs or {}, masks)
        return func(*args, **(kwargs or {}))


def _mask(label: Label, classes: Classes, dead: np.ndarray) -> Tensor | None:
    """True where a position lives, broadcastable; None where all do."""
    result: Tensor | None = None
    for lives in alive(label, classes, dead):
        if not lives.all():
            part = torch.from_numpy(lives)
            result = part if result is None else result & part
    return result


def check(
    network: nn.Module, inputs: Sequence[Any], plan: PrunePlan, trace: Trace, classes: Classes, dead: np.ndarray
) -> Verdict:
    """Compare the network cut by `plan` with its masked twin; `network` should come from `rehearsal_copy`."""
    whole = copy.deepcopy(network)
    _zero_(whole, plan)
    slim = copy.deepcopy(network)
    running: list[str] = []
    try:
        surgery.apply_(slim, plan)
        with torch.no_grad(), _doubles(), _watched(slim, running):
            found = _flat(slim(*_copies(inputs)))
    except Exception as error:  # any exception from the network's own code is a verdict
        module = running[-1] if running else ""
        return Verdict(False, float("inf"), f"the cut network fails in {module}: {_first_line(error)}", module)
    try:
        with torch.no_grad(), _doubles(), MaskedRun(trace, classes, dead):
            expected = _flat(whole(*_copies(inputs)))
    except Exception as error:  # pragma: no cover - a fault of the masked formulas, reported rather than raised
        return Verdict(False, float("inf"), f"the masked network fails: {_first_line(error)}")
    return _compare(found, expected)


def _compare(found: list[Tensor], expected: list[Tensor]) -> Verdict:
    if [t.shape for t in found] != [t.shape for t in expected]:
        return Verdict(False, float("inf"), f"output shape {[tuple(t.shape) for t in found]} instead of the original")
    scale = max((float(t.abs().max()) for t in expected if t.numel()), default=0.0)
    gap = max((float((a - b).abs().max()) for a, b in zip(found, expected, strict=True) if a.numel()), default=0.0)
    difference = gap / scale if scale > 0 else gap
    equal = difference <= TOLERANCE  # False for NaN
    return Verdict(equal, difference, "" if equal else f"outputs differ by {difference:.1e} of their largest value")


def rehearsal_copy(network: nn.Module, seed: int = 0) -> nn.Module:
    """A float64 copy in evaluation mode in which constant parameters are random, so that nothing hides behind a zero."""
    twin = copy.deepcopy(network).double().eval()
    generator = torch.Generator().manual_seed(seed)
    for tensor in [*twin.parameters(), *twin.buffers()]:
        if tensor.is_floating_point() and tensor.numel() and bool((tensor == tensor.flatten()[0]).all()):
            noise = torch.rand(tensor.shape, generator=generator, dtype=torch.float64)
            tensor.data = tensor.data + 0.1 * noise.to(tensor.device)
    return twin


def _zero_(network: nn.Module, plan: PrunePlan) -> None:
    tensors = dict(network.named_parameters(remove_duplicate=False))
    tensors.update(network.named_buffers(remove_duplicate=False))  # type: ignore[arg-type]
    for cut in plan.cuts:
        gone = sorted(set(range(cut.size)) - set(cut.kept))
        tensors[cut.tensor].data.index_fill_(cut.dim, torch.tensor(gone), 0)


def _copies(inputs: Sequence[Any]) -> list[Any]:
    def double(x: Any) -> Any:
        return (x.double() if x.is_floating_point() else x).clone() if isinstance(x, Tensor) else x

    return [tree_map(double, x) for x in inputs]


def _flat(outputs: Any) -> list[Tensor]:
    return [t for t in tree_iter(outputs) if isinstance(t, Tensor)]


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0][:200]


@contextmanager
def _watched(network: nn.Module, running: list[str]) -> Iterator[None]:
    """Keep the names of the modules that are running; after an exception the last one is where it happened."""

    def leave(*_: Any) -> None:
        running.pop()

    handles = []
    for name, module in network.named_modules():
        handles.append(module.register_forward_pre_hook(lambda *_, name=name: running.append(name)))
        handles.append(module.register_forward_hook(leave))
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


@contextmanager
def _doubles() -> Iterator[None]:
    """Tensors that the network makes on the way are float64 too; attention keeps to the traced path."""
    previous, fast = torch.get_default_dtype(), torch.backends.mha.get_fastpath_enabled()
    torch.set_default_dtype(torch.float64)
    torch.backends.mha.set_fastpath_enabled(False)
    try:
        yield
    finally:
        torch.set_default_dtype(previous)
        torch.backends.mha.set_fastpath_enabled(fast)
