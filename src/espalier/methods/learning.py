"""Rules of sparsity learning without a choice: every channel is pressed, the less important the more."""

from torch import Tensor

from espalier.methods.growing import Change, Moment, Rule

STEEPNESS = 4.0


def lag(moment: Moment) -> Tensor:
    """How far each channel's size lies below the largest, 0 to 1."""
    sizes = moment.sizes.square().sum(0).sqrt()
    spread = sizes.max() - sizes.min()
    return (sizes.max() - sizes) / spread.clamp(min=1e-12)


def group_norm(strength: float) -> Rule:
    """strength * 4^lag (Fang et al., DepGraph, CVPR 2023, equation 4 and their code)."""

    def rule(moment: Moment) -> Change:
        return strength * STEEPNESS ** lag(moment), None

    return rule


def growing_with_lag(start: float, delta: float) -> Rule:
    """From `start`, delta * lag more at each update (growing regularisation of Torch-Pruning, as in the thesis)."""

    def rule(moment: Moment) -> Change:
        return moment.penalty.clamp(min=start) + delta * lag(moment), None

    return rule


def constant(strength: float) -> Rule:
    """The same penalty on all, at all times."""

    def rule(moment: Moment) -> Change:
        return moment.penalty.new_full(moment.penalty.shape, strength), None

    return rule
