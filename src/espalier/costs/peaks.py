"""Peak memory as a function of widths: which tensors live together, and how each shrinks with each group."""

import copy
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from torch import Tensor

from espalier.channels import Channels, units_of
from espalier.channels.cost import Curve
from espalier.costs.diary import written
from espalier.costs.running import example, without_weights
from espalier.networks.network import Network
from espalier.surgery import apply_

BYTES = 4
"""Of one weight."""
SMALL = (64, 64)
"""Input of networks that cannot run without values; their memory is scaled by area."""


@dataclass(frozen=True)
class Peak:
    """Bytes at the worst moment of a forward pass, weights included."""

    sizes: np.ndarray
    """Bytes of every tensor that the dense network makes, (tensors,)."""
    lost: np.ndarray
    """Share of each tensor that goes with each group, (tensors, groups)."""
    together: np.ndarray
    """Which tensors live at each moment, (moments, tensors)."""
    params: Curve

    def __call__(self, kept: np.ndarray) -> float:
        sizes = self.sizes * (1 - self.lost @ (1 - kept))
        return float((self.together @ sizes).max(initial=0.0)) + BYTES * self.params(kept)


def peak_curve(network: Network, channels: Channels, lr_size: tuple[int, int]) -> Peak:
    """Watch the dense network, and it again with each unit of groups cut in half; without values where it can.

    A tensor that several groups shrink along one axis is exact; along several axes, a little too large.
    """
    runner, image, factor = _setting(network, lr_size)
    dense = written(runner, image)
    names = {name: k for k, name in enumerate(channels.cost.names)}
    lost = np.zeros((len(dense.sizes), len(names)))
    for unit in units_of(channels.prunable):
        level = max(1, unit.levels // 2)
        counts = dict(zip((g.name for g in unit.groups), unit.counts(level), strict=True))
        sizes = written(_halved(runner, channels, counts), image).sizes
        if len(sizes) == len(dense.sizes):  # or else its tensors count in full, which is safe
            gone = 1 - np.array(sizes) / np.maximum(dense.sizes, 1)
            lost[:, names[unit.groups[0].name]] = gone / (1 - level / unit.levels)
    return Peak(np.array(dense.sizes) * factor, lost, dense.together(), channels.cost.params)


def _setting(network: Network, lr_size: tuple[int, int]) -> tuple[Network, Tensor, float]:
    """What to run, on what, and what to multiply its sizes with."""
    try:
        runner, image = without_weights(network), example(lr_size, "meta")
        written(runner, image)
        return runner, image, 1.0
    except (RuntimeError, NotImplementedError, TypeError, ValueError):
        image = example(SMALL, next(network.parameters()).device)
        return network, image, lr_size[0] * lr_size[1] / (SMALL[0] * SMALL[1])


def _halved(runner: Network, channels: Channels, counts: Mapping[str, int]) -> Network:
    smaller = copy.deepcopy(runner)
    apply_(smaller.body, channels.plan({name: list(range(count)) for name, count in counts.items()}))
    return smaller
