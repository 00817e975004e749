"""SOAP: Adam in the bases in which the rows and the columns of a tensor's gradients are uncorrelated.

Vyas et al., *SOAP: Improving and Stabilizing Shampoo using Adam*, ICLR 2025, algorithm 3. It differs in three things: a
step is a share of the tensor's own size; before the first step some gradients are only gathered, so that a
network that is nearly right already is not first thrown out of its minimum; and gradients far longer than the last ones
are shortened, which else throw a network that multiplies its activations out of it later.
"""

import math
import statistics
from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor
from torch.nn.utils import clip_grad_norm_

GATHER = 8
"""Steps in which gradients are only gathered, where there are enough steps."""
LARGEST = 1280
"""A longer side of a tensor (as a matrix: outputs, and inputs x kernel taps) is not turned."""
SMALLEST = 1e-2
"""Root mean square below which a tensor's size is taken for this: biases that begin at zero must move, too."""
FLOOR = 1e-3
"""Least spread of a direction, as a share of that of all: where there is no gradient, rounding noise must not move."""
TINY = 1e-30
CLIP, RECENT = 2.0, 100
"""A gradient, of all tensors together, is no longer than so many times the middle one of the last ones."""


class Soap(torch.optim.Optimizer):
    """Adam in slowly turning bases, one pair for each tensor.

    Args:
        lr: length of a step as a share of the root mean square of the tensor.
        betas: decays of the mean gradient, and of its squares and the bases' statistics.
        weight_decay: decoupled, as in AdamW.
        gather: steps before the weights move, in which gradients are only gathered.
        refresh: steps between two refinements of the bases.
    """

    def __init__(
        self,
        params: Iterable[Any],
        lr: float = 4e-3,
        betas: tuple[float, float] = (0.9, 0.99),
        weight_decay: float = 0.0,
        *,
        gather: int = GATHER,
        refresh: int = 20,
    ) -> None:
        defaults = {
            "lr": lr, "betas": betas, "weight_decay": weight_decay, "gather": gather, "refresh": refresh
        }  # fmt: skip
        super().__init__(params, defaults)

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> float | None:  # pyright: ignore[reportIncompatibleMethodOverride]
        """Move every parameter that has a gradient; none where one is not finite."""
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        if not self._shorten():
            return loss
        for group in self.param_groups:
            for parameter in group["params"]:
                if parameter.grad is not None:
                    self._move(_real(parameter), _matrix(_real(parameter.grad)), self.state[parameter], group)
        return loss

    def _shorten(self) -> bool:
        """Shorten a gradient that is far longer than the last ones; whether it is a number at all."""
        lengths = self.param_groups[0].setdefault("lengths", [])  # there it is part of a checkpoint
        most = CLIP * statistics.median(lengths) if lengths else math.inf
        length = float(clip_grad_norm_([p for group in self.param_groups for p in group["params"]], most))
        if 0 < length < math.inf:  # of zeros the middle one would be zero, and all that follows with it
            lengths.append(length)
            del lengths[:-RECENT]
        return math.isfinite(length)

    def _move(self, parameter: Tensor, grad: Tensor, state: Any, group: dict[str, Any]) -> None:
        if not _fits(state, grad):  # new, or channels of it were cut
            state.clear()
            state.update(_empty(grad))
        state["step"] += 1
        beta = group["betas"][1]
        for gram, product in (("rows", grad @ grad.T), ("columns", grad.T @ grad)):
            if gram in state:
                state[gram].lerp_(product, 1 - beta)
        moves = int(state["step"]) - group["gather"]
        if moves < 1:
            return
        if moves == 1:
            _begin(state)
        elif moves % group["refresh"] == 0:
            _refine(state)
        size = parameter.square().mean().sqrt().clamp(min=SMALLEST)
        parameter.mul_(1 - group["lr"] * group["weight_decay"])
        change = _adam(state, grad, group["betas"], moves)
        parameter.sub_(group["lr"] * size * change.reshape(parameter.shape))


def _real(tensor: Tensor) -> Tensor:
    """The same memory; of complex numbers real and imaginary parts along one more axis."""
    return torch.view_as_real(tensor) if tensor.is_complex() else tensor


def _matrix(tensor: Tensor) -> Tensor:
    return tensor.flatten(1) if tensor.ndim > 1 else tensor.reshape(-1, 1)


def _empty(grad: Tensor) -> dict[str, Any]:
    """The state before the first gradient; a side that is one long or too long has no statistics."""
    state: dict[str, Any] = {"step": torch.tensor(0.0), "mean": torch.zeros_like(grad)}
    state["square"] = torch.zeros_like(grad)
    for gram, side in (("rows", grad.shape[0]), ("columns", grad.shape[1])):
        if 1 < side <= LARGEST and min(grad.shape) > 1:
            state[gram] = grad.new_zeros(side, side)
    return state


def _fits(state: dict[str, Any], grad: Tensor) -> bool:
    if not state or state["mean"].shape != grad.shape:
        return False
    sides = (("rows", grad.shape[0]), ("columns", grad.shape[1]))
    return all(state[gram].shape == (side, side) for gram, side in sides if gram in state)


def _begin(state: dict[str, Any]) -> None:
    """Bases of eigenvectors, the strongest first."""
    for gram in ("rows", "columns"):
        if gram in state:
            whole = state[gram].double()
            state[f"{gram}_basis"] = torch.linalg.eigh(whole).eigenvectors.flip(1).to(state[gram])


def _refine(state: dict[str, Any]) -> None:
    """One step of orthogonal iteration, which keeps the order of the directions."""
    for gram in ("rows", "columns"):
        if gram in state:
            state[f"{gram}_basis"] = torch.linalg.qr(state[gram] @ state[f"{gram}_basis"]).Q


def _adam(state: dict[str, Any], grad: Tensor, betas: tuple[float, float], moves: int) -> Tensor:
    """What Adam subtracts at rate 1, found in the bases; the mean is kept in the tensor's own coordinates."""
    state["mean"].lerp_(grad, 1 - betas[0])
    turned = _turned(state, grad)
    state["square"].mul_(betas[1]).addcmul_(turned, turned, value=1 - betas[1])
    mean = _turned(state, state["mean"]) / (1 - betas[0] ** moves)
    spread = (state["square"] / (1 - betas[1] ** moves)).sqrt()
    floor = FLOOR * spread.square().mean().sqrt() + TINY
    return _turned_back(state, mean / (spread + floor))


def _turned(state: dict[str, Any], x: Tensor) -> Tensor:
    x = state["rows_basis"].T @ x if "rows" in state else x
    return x @ state["columns_basis"] if "columns" in state else x


def _turned_back(state: dict[str, Any], x: Tensor) -> Tensor:
    x = state["rows_basis"] @ x if "rows" in state else x
    return x @ state["columns_basis"].T if "columns" in state else x
