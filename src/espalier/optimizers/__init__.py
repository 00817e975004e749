"""Optimizers: how gradients move the weights."""

import torch

from espalier.optimizers.soap import Soap

OPTIMIZERS = {"adam": torch.optim.Adam, "adamw": torch.optim.AdamW, "soap": Soap}
RATES = {"adam": 2e-4, "adamw": 2e-4, "soap": 4e-3}
"""Learning rates that suit; SOAP's is a share of a tensor's root mean square."""

__all__ = ["OPTIMIZERS", "RATES", "Soap"]
