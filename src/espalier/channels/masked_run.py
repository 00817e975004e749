"""Runs of the whole network in which the channels that a plan cuts contribute nothing, wherever statistics run."""

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from espalier.channels.atoms import Atoms, Classes, Numbers
from espalier.channels.labels import Label
from espalier.channels.masked import COUNTING, Masks
from espalier.channels.masked import call as call_without_dead
from espalier.channels.rehearsal import Diverged, Doubles, in_doubles
from espalier.channels.trace import FACTORS, Tracer, is_counted


@dataclass(frozen=True)
class Script:
    """The labels of a run, to be used again by runs with the same operators."""

    counted: Sequence[tuple[str, tuple[Label, ...]]]
    """Operators in order, with the labels of their tensors."""
    atoms: Atoms

    def lives(self, classes: Classes, dead: np.ndarray) -> np.ndarray:
        """Which atoms live when these classes are dead; the last place stands for `ALIVE`."""
        return _lives(self.atoms, classes, dead)


def _lives(atoms: Atoms, classes: Classes, dead: np.ndarray) -> np.ndarray:
    """Atoms of parameters are numbered alike in all runs, those made on the way come in the same order."""
    lives = np.ones(atoms.count + 1, dtype=bool)
    lives[: atoms.owned] = ~dead[classes.root[: atoms.owned]]
    for ids, alike in zip(atoms.made, classes.made, strict=False):
        if len(ids) == len(alike):
            lives[ids.numpy()] = ~dead[alike]
    for row in atoms.rows:
        lives[row.atom] = lives[row.children].any()
    return lives


class Arithmetic:
    """Operators without their dead positions.

    Args:
        rescale: whether a factor sqrt(size) means the size that is left, as where code reads it off a shape.
    """

    def __init__(self, rescale: bool) -> None:
        self.rescale = rescale
        self.contracted = (1, 1.0)
        """Size of the axis that the last product of activations summed over, and the share of it that lives."""

    def carry_out(
        self, name: str, func: Any, args: tuple[Any, ...], kwargs: dict[str, Any], masks: Masks
    ) -> Any:
        if name == "bmm":
            self.contracted = args[0].shape[-1], _left(masks[0], -1)
        if name in FACTORS:
            return func(*self._rescaled(args, masks), **kwargs)
        if self.rescale and name.startswith("_scaled_dot_product") and kwargs.get("scale") is None:
            kwargs = kwargs | {"scale": (args[0].shape[-1] * _left(masks[0], -1)) ** -0.5}
        if name.rstrip("_") in COUNTING and any(m is not None for m in masks):
            return call_without_dead(func, args, kwargs, masks)
        return func(*args, **kwargs)

    def _rescaled(self, args: tuple[Any, ...], masks: Masks) -> tuple[Any, ...]:
        """A factor sqrt(n) or 1 / sqrt(n), n being the size of an axis with dead positions, for the size left."""
        x, factor = args[:2]
        for size, left in [*((n, _left(masks[0], d)) for d, n in enumerate(x.shape)), self.contracted]:
            if left < 1 and math.isclose(factor**2, size, rel_tol=1e-6):
                return (x, factor * left**0.5, *args[2:])
            if left < 1 and math.isclose(factor**2, 1 / size, rel_tol=1e-6):
                return (x, factor / left**0.5, *args[2:])
        return args


def _left(mask: Tensor | None, dim: int) -> float:
    """Share of the positions along an axis that live, in the rows that live most; a row does while any of it does."""
    if mask is None or mask.shape[dim] == 1:
        return 1.0
    inner = list(range(dim % mask.ndim + 1, mask.ndim))
    lives = mask.any(inner, keepdim=True) if inner else mask
    return float(lives.sum(dim).max()) / mask.shape[dim]


def mask_of(label: Label, lives: np.ndarray) -> Tensor | None:
    """True where a position lives, broadcastable; None where all do."""
    result: Tensor | None = None
    for factor in label:
        ids = factor.numpy()
        part = lives[ids]  # ALIVE, which is -1, finds the last place
        if not part.all():
            mask = torch.from_numpy(part)
            result = mask if result is None else result & mask
    return result


class Replay(Doubles):
    """A masked run with the labels of the traced one, as long as it uses the same operators."""

    def __init__(self, script: Script, lives: np.ndarray, *, rescale: bool) -> None:
        super().__init__()
        self.arithmetic = Arithmetic(rescale)
        self.script = script.counted
        self.place = 0
        self.lives = lives

    def run(self, name: str, func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        if not is_counted(name, args):
            return func(*args, **kwargs)
        labels = self._next(name)
        if not self.arithmetic.rescale if name in FACTORS else not any(labels):
            return func(*args, **kwargs)
        tensors = (a for a in args if isinstance(a, Tensor))
        masks = [
            mask_of(tuple(fitted(f, t.shape) for f in label), self.lives)
            for label, t in zip(labels, tensors, strict=True)
        ]
        return self.arithmetic.carry_out(name, func, args, kwargs, masks)

    def _next(self, name: str) -> tuple[Label, ...]:
        if self.place == len(self.script) or self.script[self.place][0] != name:
            raise Diverged(f"{name} is not number {self.place} of {len(self.script)}")
        self.place += 1
        return self.script[self.place - 1][1]

    def finish(self) -> None:
        """Raises Diverged if the traced run went on."""
        if self.place < len(self.script):
            raise Diverged(f"{len(self.script) - self.place} operators are left over")


def fitted(factor: Tensor, shape: Sequence[int]) -> Tensor:
    """A factor for a tensor of this shape: of a smaller image there are fewer windows, whose rows it repeats.

    Raises:
        Diverged: it is no factor of such a tensor.
    """
    if factor.ndim != len(shape):
        raise Diverged(f"{len(shape)} dimensions instead of {factor.ndim}")
    for dim, size in enumerate(shape):
        was = factor.shape[dim]
        if was not in (1, size):
            factor = _thinned(factor, dim, size)
    return factor


def _thinned(factor: Tensor, dim: int, size: int) -> Tensor:
    """Every copy but one left out of a factor that repeats itself along a dimension, as a whole or place by place."""
    times, rest = divmod(factor.shape[dim], size)
    if size and not rest:
        for order in ((times, size), (size, times)):
            split = factor.unflatten(dim, order)
            copies = dim if order[0] == times else dim + 1
            first = split.narrow(copies, 0, 1)
            if torch.equal(split, first.expand_as(split)):
                return first.squeeze(copies)
    raise Diverged(f"{size} positions instead of {factor.shape[dim]}")


class MaskedRun(Tracer):
    """Labels a run anew: other strides or values may lead to other operators than in the traced one.

    Atoms of parameters are numbered as in the first trace, so `dead` speaks of them; the life of a row atom made
    on the way follows from its children.
    """

    recording = False

    def __init__(self, network: nn.Module, classes: Classes, dead: np.ndarray, *, rescale: bool) -> None:
        super().__init__(network, Numbers())
        self.arithmetic = Arithmetic(rescale)
        self.classes = classes
        self.dead = dead
        self.lives = np.empty(0, dtype=bool)
        self.short = False
        """Whether the network's own code asked for less than float64."""

    @property
    def calls(self) -> Counter[str]:
        """How often each operator has run."""
        return self.trace.calls

    @property
    def script(self) -> Script:
        return Script(self.trace.counted, self.trace.atoms)

    def run(self, name: str, func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        given = args, kwargs
        args, kwargs = in_doubles(func, args, kwargs)
        self.short |= args is not given[0] or kwargs is not given[1]
        if not is_counted(name, args) or (name in FACTORS and not self.arithmetic.rescale):
            return func(*args, **kwargs)
        masks = [mask_of(self.label(a), self._alive()) for a in args if isinstance(a, Tensor)]
        return self.arithmetic.carry_out(name, func, args, kwargs, masks)

    def finish(self) -> None:
        """Nothing can be left over."""

    def _alive(self) -> np.ndarray:
        if len(self.lives) <= self.trace.atoms.count:
            self.lives = _lives(self.trace.atoms, self.classes, self.dead)
        return self.lives
