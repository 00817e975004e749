"""Adversarial losses on logits: what the discriminator and the generator each pay.

Vanilla is Goodfellow et al. 2014 with the generator's loss that does not saturate; hinge is Lim and Ye 2017;
the relativistic average is Jolicoeur-Martineau 2019, as ESRGAN (Wang et al. 2018, equations 1 and 2) uses it.
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import relu, softplus

Mean = Callable[[Tensor], Tensor]
"""The mean of all logits of one kind, a scalar: over all workers, where there are several."""


@dataclass(frozen=True)
class Judged:
    """Logits of real images and of made ones."""

    real: Tensor
    made: Tensor
    mean: Mean = torch.mean


Price = Callable[[Judged], Tensor]


@dataclass(frozen=True)
class Kind:
    """One of the games."""

    discriminator: Price
    generator: Price
    relative: bool = False
    """Whether the generator's price depends on the logits of real images too."""


def relative(judged: Judged) -> tuple[Tensor, Tensor]:
    """How much more real than the mean of the other kind each image is judged."""
    return judged.real - judged.mean(judged.made), judged.made - judged.mean(judged.real)


def _vanilla(j: Judged) -> Tensor:
    return softplus(-j.real).mean() + softplus(j.made).mean()


def _hinge(j: Judged) -> Tensor:
    return relu(1 - j.real).mean() + relu(1 + j.made).mean()


def _relativistic(j: Judged) -> Tensor:
    real, made = relative(j)
    return softplus(-real).mean() + softplus(made).mean()


def _fool_relativistic(j: Judged) -> Tensor:
    real, made = relative(j)
    return softplus(real).mean() + softplus(-made).mean()


KINDS = {
    "vanilla": Kind(_vanilla, lambda j: softplus(-j.made).mean()),
    "hinge": Kind(_hinge, lambda j: -j.made.mean()),
    "relativistic": Kind(_relativistic, _fool_relativistic, relative=True),
}


def certainty(kind: Kind, judged: Judged) -> tuple[Tensor, Tensor]:
    """Mean probability of being real that the discriminator gives to real and to made images."""
    real, made = relative(judged) if kind.relative else (judged.real, judged.made)
    return torch.sigmoid(real).mean(), torch.sigmoid(made).mean()
