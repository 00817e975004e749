"""Proof that a cut is right: the cut network equals the whole one in which the cut channels contribute nothing.

Both run in float64 on the same input. In the masked copy every slice that was cut is zero. Where that alone does not
make it equal, dead positions are kept out of sums too, and statistics (norms, softmaxes, means) run over the living
ones, as they do in the cut network.
"""

import traceback
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from espalier import surgery
from espalier.channels.atoms import Classes
from espalier.channels.masked_run import MaskedRun
from espalier.channels.rehearsal import Rehearsal
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


def check(rehearsal: Rehearsal, plan: PrunePlan, classes: Classes, dead: np.ndarray) -> Verdict:
    """Compare the network cut by `plan` with its masked twin."""
    with rehearsal.trial() as slim:
        try:
            surgery.apply_(slim, plan)
            found = rehearsal.run()
        except Exception as error:  # any exception from the network's own code is a verdict
            module = _blamed(error, slim)
            reason = f"the cut network fails in {module or 'its own code'}: {_first_line(error)}"
            return Verdict(False, float("inf"), reason, module, raised=True)
    best = Verdict(False, float("inf"))
    for mode in list(rehearsal.modes):
        with rehearsal.trial() as whole:
            _zero(whole, plan)
            try:
                expected = rehearsal.run(_masked(whole, classes, dead, mode))
            except Exception as error:  # a fault of the masked formulas is reported rather than raised
                return Verdict(False, float("inf"), f"the masked network fails: {_first_line(error)}")
        verdict = _compare(found, expected)
        if verdict.equal:
            rehearsal.modes.remove(mode)
            rehearsal.modes.insert(0, mode)
            return verdict
        best = min(best, verdict, key=lambda v: v.difference)
    return best


def _masked(whole: nn.Module, classes: Classes, dead: np.ndarray, mode: int) -> Callable[..., Any] | None:
    """How to run the masked network: as it is, with dead positions left out, or with factors sqrt(size) as well."""
    return MaskedRun(whole, classes, dead, rescale=mode == 2).follow if mode else None


def _blamed(error: Exception, network: nn.Module) -> str:
    """The module in whose code an error came up; "" for the network itself."""
    names = {module: name for name, module in network.named_modules()}
    found = (names.get(self_of(frame)) for frame, _ in traceback.walk_tb(error.__traceback__))  # type: ignore[arg-type]
    return next((name for name in reversed(list(found)) if name is not None), "")


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


def _zero(network: nn.Module, plan: PrunePlan) -> None:
    """Zero in every slice that the plan cuts; the tensors' old values are left alone."""
    tensors: dict[str, Tensor] = dict(network.named_parameters(remove_duplicate=False))
    tensors.update(network.named_buffers(remove_duplicate=False))
    fresh: set[int] = set()
    for cut in plan.cuts:
        tensor = tensors[cut.tensor]
        if id(tensor) not in fresh:
            tensor.data = tensor.data.clone()
            fresh.add(id(tensor))
        gone = np.setdiff1d(np.arange(cut.size), cut.kept)
        tensor.data.index_fill_(cut.dim, torch.from_numpy(gone), 0)


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0][:200]
