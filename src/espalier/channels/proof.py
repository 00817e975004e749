"""Proof that a cut is right: the cut network equals the whole one in which the cut channels contribute nothing.

Both run in float64 on the same input. In the masked copy every slice that was cut is zero. Where that alone does not
make it equal, dead positions are kept out of sums too, and statistics (norms, softmaxes, means) run over the living
ones, as they do in the cut network.
"""

import re
import traceback
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from espalier import surgery
from espalier.channels.atoms import Classes
from espalier.channels.masked_run import MaskedRun, Replay, Script
from espalier.channels.records import Trace
from espalier.channels.rehearsal import Change, Diverged, Doubles, Rehearsal, Watch
from espalier.channels.trace import self_of
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


WAYS = ("as it is", "left out", "rescaled")
"""How to run the masked network: with zeroed slices only, with dead positions left out of sums and statistics, or
with factors sqrt(size) rescaled as well."""
CHOICES = {"topk", "sort", "argmax", "argmin", "max", "min", "nonzero", "multinomial", "_local_scalar_dense"}
"""Operators by whose results one run may take other tensors than another."""

Outputs = list[Tensor] | Verdict


def _likely(counted: bool, rescales: bool) -> list[str]:
    """The ways, the likely first: whether statistics run over dead positions, and factors come from sizes."""
    plain, left_out, rescaled = WAYS
    if rescales:
        return [rescaled, left_out, plain]
    return [left_out, rescaled, plain] if counted else list(WAYS)


class Prover:
    """Compares cut networks with masked ones; remembers what has been right."""

    def __init__(self, rehearsal: Rehearsal, found: Trace, classes: Classes) -> None:
        self.rehearsal = rehearsal
        self.classes = classes
        self.script: Script | None = Script(found.counted, found.atoms)
        """Labels to use again, if any run has had them as they are needed."""
        self.chooses = bool(CHOICES & found.calls.keys())
        over = [np.unique(classes.of(f)) for f in found.normalised]
        self.statistics = np.unique(np.concatenate(over)) if over else np.empty(0, dtype=np.int64)
        """Classes over which statistics run."""
        self.rescales = found.rescales
        self.failing: set[tuple[type[nn.Module], str]] = set()
        """Kinds of failures that cuts have led to on an image of full size."""
        self.ways: list[str] = []
        """Those that have been right before the others."""

    def check(self, plan: PrunePlan, dead: np.ndarray) -> Verdict:
        """Compare the network cut by `plan` with its masked twin."""
        if not self.ways:
            counted = bool(dead[self.statistics].any())
            self.ways = _likely(counted, self.rescales)
        unsettled = len(self.rehearsal.sizes) > 1
        self.rehearsal.inputs = self.rehearsal.sizes[0]
        known: dict[str, Outputs] = {}
        found = self._cut(plan)
        if isinstance(found, Verdict) and unsettled and self._kind(found) not in self.failing:
            found = self._on_the_largest(plan, found)
        if isinstance(found, Verdict):
            return found
        if unsettled:  # the whole network tells which image will do
            tried = self.rehearsal.inputs
            outputs = self._masked(self.ways[0], plan, dead, self.rehearsal.settle)
            if outputs is not None:
                known[self.ways[0]] = outputs
            if self.rehearsal.inputs is not tried:
                found = self._cut(plan)
        return found if isinstance(found, Verdict) else self._compared(found, known, plan, dead)

    def _on_the_largest(self, plan: PrunePlan, wrong: Verdict) -> list[Tensor] | Verdict:
        """Tells whether it is the cut that fails, or the image that is too small, which is then left out."""
        self.rehearsal.inputs = self.rehearsal.sizes[-1]
        found = self._cut(plan)
        if isinstance(found, Verdict):
            self.failing.add(self._kind(found))
        if self._kind(wrong) not in self.failing:
            self.rehearsal.sizes.pop(0)
        return found

    def _kind(self, wrong: Verdict) -> tuple[type[nn.Module], str]:
        """What is alike in failures of one cause: the type of the module, and the message without its numbers."""
        module = self.rehearsal.network.get_submodule(wrong.module)
        return type(module), re.sub(r"\d+", "", wrong.reason.partition(": ")[2])

    def _compared(
        self, found: list[Tensor], known: dict[str, Outputs], plan: PrunePlan, dead: np.ndarray
    ) -> Verdict:
        """The cut network's outputs beside those of the masked one, run in one way after another."""
        best = Verdict(False, float("inf"))
        for way in list(self.ways):
            verdict = _compare(found, known.get(way) or self._masked(way, plan, dead, self.rehearsal.whole))
            if not verdict.equal and self.chooses and self.script and way != WAYS[0]:
                self.script = None  # this run may have chosen otherwise
                verdict = _compare(found, self._masked(way, plan, dead, self.rehearsal.whole))
            if verdict.equal:
                self.ways.remove(way)
                self.ways.insert(0, way)
                return verdict
            best = min(best, verdict, key=lambda v: v.difference)
        return best

    def _cut(self, plan: PrunePlan) -> list[Tensor] | Verdict:
        """What the cut network gives, or how it fails."""
        with self.rehearsal.trial() as slim:
            try:
                surgery.apply_(slim, plan)
                return self.rehearsal.run()
            except Exception as error:  # any exception from the network's own code is a verdict
                module = _blamed(error, slim)
                reason = f"the cut network fails in {module or 'its own code'}: {_first_line(error)}"
                return Verdict(False, float("inf"), reason, module, raised=True)

    def _masked(
        self,
        way: str,
        plan: PrunePlan,
        dead: np.ndarray,
        run: Callable[[Change, Callable[[nn.Module], Watch]], Any],
    ) -> Any:
        """What the masked network gives, or how it fails; `run` is one of the rehearsal's ways to run it."""
        zeroed = partial(_zero, tensors=self.rehearsal.tensors, plan=plan)
        try:
            if way == WAYS[0]:
                return run(zeroed, lambda _: Doubles())
            if self.script is not None:
                try:
                    return run(zeroed, self._replay(self.script, dead, way == WAYS[2]))
                except Diverged:
                    self.script = None
            return self._anew(zeroed, dead, way == WAYS[2], run)
        except Exception as error:  # a fault of the masked formulas is reported rather than raised
            return Verdict(False, float("inf"), f"the masked network fails: {_first_line(error)}")

    def _replay(self, script: Script, dead: np.ndarray, rescale: bool) -> Callable[[nn.Module], Watch]:
        lives = script.lives(self.classes, dead)
        return lambda _: Replay(script, lives, rescale=rescale)

    def _anew(self, zeroed: Change, dead: np.ndarray, rescale: bool, run: Callable[..., Any]) -> Any:
        """A run that makes its own labels, for later ones to use."""
        made: list[MaskedRun] = []

        def watch(whole: nn.Module) -> Watch:
            made.append(MaskedRun(whole, self.classes, dead, rescale=rescale))
            return made[-1]

        outputs = run(zeroed, watch)
        if outputs is not None:
            self.script = made[-1].script
        return outputs


def _blamed(error: Exception, network: nn.Module) -> str:
    """The module in whose code an error came up; "" for the network itself."""
    names = {module: name for name, module in network.named_modules()}
    found = (names.get(self_of(frame)) for frame, _ in traceback.walk_tb(error.__traceback__))  # type: ignore[arg-type]
    return next((name for name in reversed(list(found)) if name is not None), "")


def _compare(found: list[Tensor], expected: Outputs) -> Verdict:
    if isinstance(expected, Verdict):
        return expected
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


def _zero(_: nn.Module, tensors: Mapping[str, Tensor], plan: PrunePlan) -> None:
    """Zero in every slice that the plan cuts; the tensors' old values are left alone."""
    fresh: set[int] = set()
    for cut in plan.cuts:
        tensor = tensors[cut.tensor]
        if id(tensor) not in fresh:
            tensor.data = tensor.data.clone()
            fresh.add(id(tensor))
        gone = np.ones(cut.size, dtype=bool)
        gone[list(cut.kept)] = False
        tensor.data.index_fill_(cut.dim, torch.from_numpy(np.flatnonzero(gone)), 0)


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0][:200]
