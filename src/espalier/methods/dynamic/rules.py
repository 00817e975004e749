"""The rules of the dynamic methods: each decides which weights stay, from what training has shown so far."""

import math
from collections.abc import Callable

import torch
from torch import Tensor

from espalier.methods.dynamic.options import Options
from espalier.methods.masking import Masks, Rule, Timing, View
from espalier.sparsity import choose
from espalier.sparsity.schedule import Cubic
from espalier.sparsity.spread import without_lowest

EVERY = {"hard": 1, "shrink": 1, "balanced": 2}
SEEN = 0.95
"""Decay of the running mean of squared gradients."""


def timing(options: Options, sparsity: float) -> Timing:
    """The schedule that all rules share: a cubic rise, a search at the full sparsity, then fixed masks."""
    until = max(1, round(options.until * options.searched))
    every = min(options.every or EVERY.get(options.rule, 10), until)
    until -= until % every
    ramp = 0 if options.start == "calibrated" else min(round(options.ramp * options.searched), until)
    fade = options.fade if options.rule == "surgery" else 0.0
    return Timing(Cubic(sparsity, ramp), until, every, fade)


def hard(options: Options) -> Rule:
    """Iterative hard thresholding: after each step the smallest weights are set to zero, and learn on from there."""
    return Rule(lambda view: choose(_sizes(view), view.sparsity, options.spread))


def shrink(options: Options) -> Rule:
    """Soft shrinkage: pruned weights are remembered, learn on, and decay."""
    return Rule(hard(options).decide, remembers=options.decay or 0.95)


def surgery(options: Options) -> Rule:
    """Dynamic network surgery: pruned weights are remembered whole; coming back takes more than staying."""
    band = 0.1 if options.band is None else options.band

    def decide(view: View) -> Masks:
        return choose(_favoured(_sizes(view), view, band), view.sparsity, options.spread)

    return Rule(decide, remembers=1.0)


def regrow(options: Options) -> Rule:
    """Drop the smallest kept weights, grow those that the gradient asks for most; they begin at zero."""
    until = timing(options, 0.5).until

    def decide(view: View) -> Masks:
        goal = choose(_sizes(view), view.sparsity, options.spread)
        swapped = options.swap / 2 * (1 + math.cos(math.pi * min(1.0, (view.step + 1) / until)))
        return {name: _exchanged(name, view, int((~mask).sum()), swapped) for name, mask in goal.items()}

    return Rule(decide, learns=False)


def balanced(options: Options) -> Rule:
    """Ours: sparsity goes where the loss feels it least, no layer starves, revived weights step like kept ones."""

    def decide(view: View) -> Masks:
        scores = _favoured(_felt(view), view, options.band or 0.0)
        least = options.floor * (1 - view.sparsity)
        return choose({n: _with_floor(score, least) for n, score in scores.items()}, view.sparsity)

    return Rule(decide, remembers=options.decay or 1.0, squares=SEEN, revival=options.revival)


def _sizes(view: View) -> dict[str, Tensor]:
    return {name: weight.abs() for name, weight in view.weights.items()}


def _favoured(scores: dict[str, Tensor], view: View, band: float) -> dict[str, Tensor]:
    """Scores of kept weights raised, so that chance does not swap equals."""
    return {name: score * (1 + band * view.masks[name]) for name, score in scores.items()}


def _felt(view: View) -> dict[str, Tensor]:
    """|w| times the layer's root mean square gradient: what the loss feels of a weight, to second order."""
    return {
        name: weight.abs() * (view.squares[name].mean().sqrt() + torch.finfo(weight.dtype).tiny)
        for name, weight in view.weights.items()
    }


def _with_floor(score: Tensor, share: float) -> Tensor:
    """The highest `share` of a layer made safe."""
    safe = math.ceil(share * score.numel())
    if not safe:
        return score
    return score.masked_fill(without_lowest(score, score.numel() - safe), math.inf)


def _exchanged(name: str, view: View, pruned: int, swapped: float) -> Tensor:
    """One layer's mask with `pruned` zeros, a share of the kept weights chosen by gradient."""
    size = view.weights[name].abs() * view.masks[name]
    staying = round((size.numel() - pruned) * (1 - swapped))
    wish = view.gradients[name].abs()
    stays = without_lowest(size, size.numel() - staying) & view.masks[name]
    return without_lowest(wish.masked_fill(stays, math.inf), pruned)


RULES: dict[str, Callable[[Options], Rule]] = {
    "balanced": balanced,
    "hard": hard,
    "shrink": shrink,
    "surgery": surgery,
    "regrow": regrow,
}
