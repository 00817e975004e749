"""Optimizers: how gradients move the weights."""

from collections.abc import Iterable
from typing import Any

import torch

from espalier.optimizers.soap import GATHER, Soap

OPTIMIZERS = {"adam": torch.optim.Adam, "adamw": torch.optim.AdamW, "soap": Soap}
RATES = {"adam": 2e-4, "adamw": 2e-4, "soap": 4e-3}
"""Learning rates that suit; SOAP's is a share of a tensor's root mean square."""


def build(name: str, params: Iterable[Any], steps: int, **given: Any) -> torch.optim.Optimizer:
    """The one of this name for so many steps, of which SOAP spends a quarter at most on gathering gradients."""
    if name == "soap":
        given["gather"] = min(GATHER, steps // 4)
    return OPTIMIZERS[name](params, **given)


__all__ = ["OPTIMIZERS", "RATES", "Soap", "build"]
