"""A running mean of the weights, which is what is validated and kept."""

import copy

import torch
from torch import Tensor, nn


class Ema:
    """Exponential moving average; in the first steps the decay is smaller, so that the start is forgotten."""

    def __init__(self, network: nn.Module, decay: float) -> None:
        self.network = copy.deepcopy(network).eval().requires_grad_(False)
        self.decay = decay

    @torch.no_grad()
    def update(self, network: nn.Module, step: int) -> None:
        """Move towards `network` after `step` steps were done; what is not floating point is copied."""
        means, values = _tensors(self.network), _tensors(network)
        weight = 1 - min(self.decay, (1 + step) / (10 + step))
        for mean, value in zip(means, values):
            if mean.is_floating_point():
                mean.lerp_(value, weight)
            else:
                mean.copy_(value)

    @torch.no_grad()
    def copy_to(self, network: nn.Module) -> None:
        """Put the mean into `network`."""
        for value, mean in zip(_tensors(network), _tensors(self.network)):
            value.copy_(mean)


def _tensors(network: nn.Module) -> list[Tensor]:
    return [*network.parameters(), *network.buffers()]
