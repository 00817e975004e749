"""Training under masks: pruned weights are zero in every forward pass, of the network and of its running mean.

`Keeping` holds masks as they are. `Search` decides them anew by a rule. What a rule remembers of pruned weights lies
beside the network and is added only while the optimizer works, so the network itself is sparse at every moment.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from espalier.methods.protocol import Context, Idle
from espalier.networks.network import body_of
from espalier.plan import PrunePlan
from espalier.sparsity import apply_, sparsity
from espalier.sparsity.schedule import Cubic

Masks = dict[str, Tensor]


class Keeping(Idle):
    """Masks that stay: no gradient reaches a pruned weight, no moment of the optimizer moves it."""

    def __init__(self, masks: Mapping[str, Tensor]) -> None:
        self.masks: Masks = dict(masks)

    def start(self, context: Context) -> None:
        body = body_of(context.network)
        self.weights = {name: body.get_parameter(name) for name in self.masks}
        self.masks = {name: mask.to(self.weights[name].device) for name, mask in self.masks.items()}
        self.network, self.ema = context.network, context.ema
        apply_(context.network, self.masks)

    def ready(self, context: Context) -> None:
        self.ema = context.ema
        self.enforce()

    def after_backward(self, step: int) -> None:
        del step
        for name, weight in self.weights.items():
            if weight.grad is not None:
                weight.grad.masked_fill_(~self.masks[name], 0)

    def after_step(self, step: int) -> PrunePlan | None:
        del step
        self.enforce()
        return None

    def enforce(self) -> None:
        """Zeros where they belong, in the network and its mean."""
        for network in (self.network, self.ema):
            if network is not None:
                apply_(network, self.masks)

    def finish(self) -> None:
        """The mean of sparse weights is sparse, but masks may have moved meanwhile."""
        self.ema = None
        self.enforce()

    def facts(self) -> Mapping[str, float]:
        return {"sparsity": sparsity(self.masks)}

    def state_dict(self) -> dict[str, Any]:
        return {"masks": {name: mask.clone() for name, mask in self.masks.items()}}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        self.masks = {name: mask.to(self.weights[name].device) for name, mask in state["masks"].items()}


@dataclass(frozen=True)
class View:
    """What a rule decides from; tensors by name of the weight."""

    step: int
    sparsity: float
    """To be reached now."""
    weights: Mapping[str, Tensor]
    """With what is remembered of pruned ones."""
    gradients: Mapping[str, Tensor]
    masks: Mapping[str, Tensor]
    """So far."""
    squares: Mapping[str, Tensor]
    """Running means of squared gradients; empty where the rule does not want them."""


@dataclass(frozen=True)
class Rule:
    """One way to decide masks anew."""

    decide: Callable[[View], Masks]
    remembers: float = 0.0
    """Share of a pruned weight that is remembered until the next step; 0: it begins at zero each time."""
    learns: bool = True
    """Whether pruned weights get gradients (straight through their mask)."""
    squares: float = 0.0
    """Decay of the running means of squared gradients; 0 where the rule does not want them."""
    revival: float = 0.0
    """Size of the steps of pruned weights relative to those of kept ones in the same layer; 0: as they come."""


@dataclass(frozen=True)
class Timing:
    """When masks are decided."""

    sparsity: Cubic
    until: int
    """The step at which the search ends and the masks stay."""
    every: int = 1
    """Steps between two decisions."""
    fade: float = 0.0
    """Decisions become rarer with (1 + fade * step) ** -1, drawn at random; 0 for all of them."""

    def due(self, step: int, seed: int) -> bool:
        """Whether masks are decided after this step (the first is 0)."""
        if step >= self.until or (step + 1) % self.every:
            return False
        if step + 1 <= self.sparsity.ramp or step + 1 + self.every > self.until:
            return True  # while sparsity rises, and the last time
        drawn = torch.rand((), generator=torch.Generator().manual_seed(seed * 1_000_003 + step))
        return float(drawn) < 1 / (1 + self.fade * step)


class Search(Keeping):
    """Masks decided by a rule; from `timing.until` on they stay."""

    def __init__(self, masks: Mapping[str, Tensor], rule: Rule, timing: Timing) -> None:
        super().__init__(masks)
        self.rule, self.timing = rule, timing
        self.hidden: Masks = {}
        self.squares: Masks = {}
        self.gradients: Masks = {}
        self.before: Masks = {}

    def start(self, context: Context) -> None:
        super().start(context)
        self.seed = context.seed
        if self.rule.squares:
            self.squares = {name: torch.zeros_like(weight.detach()) for name, weight in self.weights.items()}

    @torch.no_grad()
    def after_backward(self, step: int) -> None:
        if self.squares and step < self.timing.until:
            for name, mean in self.squares.items():
                mean.lerp_(_gradient(self.weights[name]).square(), 1 - self.rule.squares)
        if self.timing.due(step, self.seed):
            self.gradients = {name: _gradient(weight).clone() for name, weight in self.weights.items()}
        if step >= self.timing.until or not self.rule.learns:
            super().after_backward(step)
        for name, hidden in self.hidden.items():
            self.weights[name].add_(hidden)
        if self.rule.revival:
            self.before = {name: weight.detach().clone() for name, weight in self.weights.items()}

    @torch.no_grad()
    def after_step(self, step: int) -> PrunePlan | None:
        if step < self.timing.until:
            self._balance()
            if self.timing.due(step, self.seed):
                self.masks = self.rule.decide(self._view(step))
            self._remember()
        self.hidden = {} if step + 1 >= self.timing.until else self.hidden
        self.enforce()
        return None

    def _view(self, step: int) -> View:
        weights = {name: weight.detach() for name, weight in self.weights.items()}
        due = self.timing.sparsity.at(step + 1)
        return View(step, due, weights, self.gradients, self.masks, self.squares)

    def _remember(self) -> None:
        """Put away what the pruned weights have become."""
        if self.rule.remembers:
            self.hidden = {
                name: weight.detach().masked_fill(self.masks[name], 0).mul_(self.rule.remembers)
                for name, weight in self.weights.items()
            }

    def _balance(self) -> None:
        """In each layer, bring the steps of pruned weights to the size of those of kept ones."""
        for name, before in self.before.items():
            weight, mask = self.weights[name].detach(), self.masks[name]
            change = weight - before
            kept, pruned = (change[part].square().mean().sqrt() for part in (mask, ~mask))
            if mask.all() or not float(kept) > 0 or not float(pruned) > 0:
                continue
            scaled = before + change * (self.rule.revival * kept / pruned)
            weight.copy_(torch.where(mask, weight, scaled))
        self.before = {}

    def state_dict(self) -> dict[str, Any]:
        parts = {"hidden": self.hidden, "squares": self.squares}
        copied = {key: {n: t.clone() for n, t in part.items()} for key, part in parts.items()}
        return super().state_dict() | copied

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        super().load_state_dict(state)
        for key in ("hidden", "squares"):
            found = {name: tensor.to(self.weights[name].device) for name, tensor in state[key].items()}
            setattr(self, key, found)


def _gradient(weight: nn.Parameter) -> Tensor:
    return torch.zeros_like(weight) if weight.grad is None else weight.grad
