"""A smooth L1 (Lai et al. 2017, LapSRN, section 3.4): the mean of sqrt(d^2 + eps^2)."""

from torch import Tensor

from espalier.losses.weighted import Loss


def build(eps: float = 1e-3) -> Loss:
    def charbonnier(output: Tensor, target: Tensor) -> Tensor:
        return ((output - target).square() + eps**2).sqrt().mean()

    return charbonnier
