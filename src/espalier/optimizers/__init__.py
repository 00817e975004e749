"""Optimizers: how gradients move the weights."""

import torch

from espalier.optimizers.soap import Soap

OPTIMIZERS = {"adam": torch.optim.Adam, "adamw": torch.optim.AdamW, "soap": Soap}

__all__ = ["OPTIMIZERS", "Soap"]
