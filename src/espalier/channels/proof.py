"""Proof that a cut is right: the cut network equals the whole one in which the cut channels contribute nothing.

Both run in float64 on the same input. In the masked copy every slice that was cut is zero; dead positions are kept out
of sums, and statistics (norms, softmaxes, means) run over the living ones, as they do in the cut network.
"""

import copy
import math
import traceback
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_iter, tree_map

from espalier import surgery
from espalier.channels.atoms import Classes
from espalier.channels.labels import Label
from espalier.channels.masked import COUNTING
from espalier.channels.masked import call as call_without_dead
from espalier.channels.trace import Tracer, self_of, traced_run
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
    raised: bool = False
    """Whether it did."""


class MaskedRun(Tracer):
    """Labels a run anew while it leaves dead positions out wherever it matters.

    The labels are followed live rather than replayed, since other strides or values may lead to other operators.
    Atoms of parameters are numbered as in the first trace, so `dead` speaks of them; the life of a row atom made
    on the way follows from its children.
    """

    recording = False

    def __init__(
        self, network: nn.Module, classes: Classes, dead: np.ndarray, *, rescale: bool = False
    ) -> None:
        super().__init__(network)
        self.contracted = (1, 1.0)
        """Size of the axis that the last product of activations summed over, and the share of it that lives."""
        self.rescale = rescale
        """Whether a factor sqrt(size) means the size that is left, as where code reads it off a shape."""
        self.lives = ~dead[classes.root[: self.trace.atoms.count]]
        self.made = [~dead[ids] for ids in classes.made]

    def run(self, name: str, func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        if name.rstrip("_") in COUNTING:
            masks = [self._mask(self.label(a)) for a in args if isinstance(a, Tensor)]
            if name == "bmm":
                self.contracted = args[0].shape[-1], self._left(args[0], args[0].ndim - 1)
            if self.rescale and name.startswith("_scaled_dot_product") and kwargs.get("scale") is None:
                kwargs = kwargs | {
                    "scale": (args[0].shape[-1] * self._left(args[0], args[0].ndim - 1)) ** -0.5
                }
            if any(m is not None for m in masks):
                return call_without_dead(func, args, kwargs, masks)
        if self.rescale and name in ("mul", "div"):
            args = self._rescaled(args)
        return func(*args, **kwargs)

    def _rescaled(self, args: tuple[Any, ...]) -> tuple[Any, ...]:
        """A factor sqrt(n) or 1 / sqrt(n), n being the size of an axis with dead positions, for the size left."""
        x, factor = args[:2]
        if not isinstance(x, Tensor) or not isinstance(factor, float):
            return args
        for size, left in [*((n, self._left(x, d)) for d, n in enumerate(x.shape)), self.contracted]:
            if left < 1 and math.isclose(factor**2, size, rel_tol=1e-6):
                return (x, factor * left**0.5, *args[2:])
            if left < 1 and math.isclose(factor**2, 1 / size, rel_tol=1e-6):
                return (x, factor / left**0.5, *args[2:])
        return args

    def _left(self, x: Tensor, dim: int) -> float:
        """Share of the positions along an axis that live."""
        mask = self._mask(tuple(f for f in self.label(x) if f.shape[dim] > 1))
        return 1.0 if mask is None else float(mask.sum(dim).max()) / x.shape[dim]

    def _mask(self, label: Label) -> Tensor | None:
        """True where a position lives, broadcastable; None where all do."""
        result: Tensor | None = None
        for factor in label:
            ids = factor.numpy()
            part = (ids < 0) | self._alive()[np.maximum(ids, 0)]
            if not part.all():
                mask = torch.from_numpy(part)
                result = mask if result is None else result & mask
        return result

    def _alive(self) -> np.ndarray:
        atoms = self.trace.atoms
        if len(self.lives) < atoms.count:
            self.lives = np.concatenate([self.lives, np.ones(atoms.count - len(self.lives), dtype=bool)])
            for ids, lives in zip(atoms.made, self.made, strict=False):
                if len(ids) == len(lives):
                    self.lives[ids.numpy()] = lives
            for row in atoms.rows:
                self.lives[row.atom] = self.lives[row.children].any()
        return self.lives


def check(
    network: nn.Module, inputs: Sequence[Any], plan: PrunePlan, classes: Classes, dead: np.ndarray
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
        module = _blamed(error, slim, running[-1] if running else "")
        return Verdict(
            False,
            float("inf"),
            f"the cut network fails in {module}: {_first_line(error)}",
            module,
            raised=True,
        )
    verdict = Verdict(False, float("inf"))
    for rescale in (False, True):
        try:
            with _doubles():
                run = MaskedRun(whole, classes, dead, rescale=rescale)
                expected = _flat(traced_run(whole, run, _copies(inputs)))
        except Exception as error:  # a fault of the masked formulas is reported rather than raised
            return Verdict(False, float("inf"), f"the masked network fails: {_first_line(error)}")
        verdict = _compare(found, expected)
        if verdict.equal:
            break
    return verdict


def _blamed(error: Exception, network: nn.Module, running: str) -> str:
    """The module in whose code an error came up, which need not be the last that was called."""
    names = {module: name for name, module in network.named_modules()}
    found = (names.get(self_of(frame)) for frame, _ in traceback.walk_tb(error.__traceback__))  # type: ignore[arg-type]
    return next((name for name in reversed(list(found)) if name is not None), running)


def _compare(found: list[Tensor], expected: list[Tensor]) -> Verdict:
    if [t.shape for t in found] != [t.shape for t in expected]:
        return Verdict(
            False, float("inf"), f"output shape {[tuple(t.shape) for t in found]} instead of the original"
        )
    scale = max((float(t.abs().max()) for t in expected if t.numel()), default=0.0)
    gap = max(
        (float((a - b).abs().max()) for a, b in zip(found, expected, strict=True) if a.numel()), default=0.0
    )
    difference = gap / scale if scale > 0 else gap
    equal = difference <= TOLERANCE  # False for NaN
    return Verdict(
        equal, difference, "" if equal else f"outputs differ by {difference:.1e} of their largest value"
    )


def rehearsal_copy(network: nn.Module, seed: int = 0) -> nn.Module:
    """A float64 copy in evaluation mode whose constant parameters are random: nothing hides behind a zero."""
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


class _Doubles(TorchDispatchMode):
    """Keeps a run in float64 where the network's own code asks for less."""

    def __torch_dispatch__(
        self,
        func: Any,
        types: Sequence[type],
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:
        del types
        kwargs = dict(kwargs or {})
        if kwargs.get("dtype") in _SHORT:
            kwargs["dtype"] = torch.float64
        if any(isinstance(a, Tensor) and a.dtype in _SHORT for a in args) and not func._schema.is_mutable:
            args = tuple(a.double() if isinstance(a, Tensor) and a.dtype in _SHORT else a for a in args)
        return func(*args, **kwargs)


_SHORT = (torch.float32, torch.float16, torch.bfloat16)


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
    """Tensors made on the way are float64 too, random ones alike, and attention keeps to the traced path."""
    previous, fast = torch.get_default_dtype(), torch.backends.mha.get_fastpath_enabled()
    torch.set_default_dtype(torch.float64)
    torch.backends.mha.set_fastpath_enabled(False)
    try:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            with _Doubles():
                yield
    finally:
        torch.set_default_dtype(previous)
        torch.backends.mha.set_fastpath_enabled(fast)
