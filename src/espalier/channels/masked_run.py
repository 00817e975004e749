"""A run of the whole network in which the channels that a plan cuts contribute nothing, wherever statistics run."""

import math
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from espalier.channels.atoms import Classes, Numbers
from espalier.channels.labels import Label
from espalier.channels.masked import COUNTING
from espalier.channels.masked import call as call_without_dead
from espalier.channels.rehearsal import in_doubles
from espalier.channels.trace import Tracer


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
        super().__init__(network, Numbers())
        self.contracted = (1, 1.0)
        """Size of the axis that the last product of activations summed over, and the share of it that lives."""
        self.rescale = rescale
        """Whether a factor sqrt(size) means the size that is left, as where code reads it off a shape."""
        self.lives = ~dead[classes.root[: self.trace.atoms.count]]
        self.made = [~dead[ids] for ids in classes.made]

    def follow(self, *inputs: Any) -> Any:
        """What the network gives."""
        with self:
            return self.network(*inputs)

    def run(self, name: str, func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        args, kwargs = in_doubles(func, args, kwargs)
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
