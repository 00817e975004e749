"""How a sparsity is spread over layers: masks from scores, the lowest go, to the very weight.

Equal scores go in the order in which they are stored, so that every worker and every resumed run chooses alike.
"""

import difflib
from collections.abc import Callable, Mapping

import torch
from torch import Tensor

from espalier.errors import PlanError

Scores = Mapping[str, Tensor]
Masks = dict[str, Tensor]


def choose(scores: Scores, sparsity: float, spread: str = "global") -> Masks:
    """Masks (True stays) that prune `round(sparsity * all)` weights.

    Args:
        scores: of each weight, not negative; the lowest go.
        spread: one of `SPREADS`.

    Raises:
        PlanError: no spread of this name, or a sparsity outside 0..1.
    """
    if spread not in SPREADS:
        near = difflib.get_close_matches(spread, SPREADS, 1)
        hint = f"did you mean {near[0]!r}?" if near else f"there are {', '.join(SPREADS)}"
        raise PlanError(f"no spread of sparsity is called {spread!r}; {hint}")
    if not 0 <= sparsity < 1:
        raise PlanError(f"a sparsity of {sparsity} is out of range; expected 0 <= sparsity < 1")
    return SPREADS[spread](scores, round(sparsity * sum(s.numel() for s in scores.values())))


def without_lowest(scores: Tensor, count: int) -> Tensor:
    """A mask of the shape of `scores` without its `count` lowest."""
    flat = scores.detach().flatten()
    if count <= 0:
        return torch.ones_like(scores, dtype=torch.bool)
    threshold = torch.kthvalue(flat, count).values
    pruned = flat < threshold
    ties = (flat == threshold).nonzero().flatten()
    pruned[ties[: count - int(pruned.count_nonzero())]] = True
    return ~pruned.reshape(scores.shape)


def globally(scores: Scores, count: int) -> Masks:
    """One threshold for the whole network (Han et al., NeurIPS 2015, without their factor per layer)."""
    flat = torch.cat([score.detach().flatten() for score in scores.values()])
    parts = without_lowest(flat, count).split([score.numel() for score in scores.values()])
    return {name: part.reshape(score.shape) for (name, score), part in zip(scores.items(), parts)}


def by_layer(scores: Scores, count: int) -> Masks:
    """The same share of every layer."""
    whole = sum(score.numel() for score in scores.values())
    shares = {name: count / whole * score.numel() for name, score in scores.items()}
    return with_counts(scores, rounded(shares, count))


def lamp(scores: Scores, count: int) -> Masks:
    """A threshold for scores relative to what is larger in the layer (Lee et al., ICLR 2021, equation 3).

    A layer's largest weight has 1 and so outlives every layer's second.
    """
    return globally({name: _relative(score) for name, score in scores.items()}, count)


def erk(scores: Scores, count: int) -> Masks:
    """Densities in proportion to (sum of a weight's sizes) / (their product) (Evci et al., ICML 2020)."""
    kept = sum(score.numel() for score in scores.values()) - count
    raw = {name: float(sum(score.shape)) for name, score in scores.items()}
    shares, full = raw, set[str]()
    while True:
        left = kept - sum(scores[name].numel() for name in full)
        factor = left / max(sum(value for name, value in raw.items() if name not in full), 1e-12)
        shares = {n: scores[n].numel() if n in full else value * factor for n, value in raw.items()}
        over = {name for name in shares if shares[name] > scores[name].numel()}
        if not over:
            break
        full |= over
    gone = {name: scores[name].numel() - share for name, share in shares.items()}
    return with_counts(scores, rounded(gone, count))


def with_counts(scores: Scores, counts: Mapping[str, int]) -> Masks:
    """Masks that prune so many weights of each tensor."""
    return {name: without_lowest(score, counts[name]) for name, score in scores.items()}


def rounded(shares: Mapping[str, float], total: int) -> dict[str, int]:
    """Whole numbers near `shares` that add up to `total`: the largest remainders are rounded up."""
    whole = {name: int(share) for name, share in shares.items()}
    order = sorted(shares, key=lambda name: whole[name] - shares[name])
    for name in order[: total - sum(whole.values())]:
        whole[name] += 1
    return whole


def _relative(score: Tensor) -> Tensor:
    squares, order = score.detach().double().square().flatten().sort(stable=True)
    larger = squares.flip(0).cumsum(0).flip(0)
    result = torch.empty_like(squares)
    result[order] = squares / larger.clamp(min=torch.finfo(torch.float64).tiny)
    return result.reshape(score.shape)


SPREADS: dict[str, Callable[[Scores, int], Masks]] = {
    "global": globally,
    "layer": by_layer,
    "lamp": lamp,
    "erk": erk,
}
