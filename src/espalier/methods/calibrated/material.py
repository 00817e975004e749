"""What the method looks at: patches, and at how many positions of them."""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from espalier.calibration.layers import groups_of, input_axis, is_layer
from espalier.costs.memory import peak
from espalier.data import PackedImages, Patches
from espalier.errors import ImageError, NetworkError
from espalier.methods.job import Job
from espalier.networks.network import Network

PATCHES, DRAFTED, HELD, SIZE = 64, 32, 8, 48
"""LR patches to calibrate on, how many of them for drafts, more to choose by, and their height and width."""
ALIKE = 1e-3
"""Largest difference between an image of a batch and the same alone, as a share of the largest value."""
SMALL = 24
"""Height and width of the patch on which groups are tried for linearity."""
ROWS = 65536
"""Positions of each layer at the last refit, at most."""
BYTES, ALIVE = 9 * 2**27, 3 * 2**28
"""What the last refit may hold of activations and of the layers' outputs, and of the former alone."""


@dataclass(frozen=True)
class Material:
    """LR patches, RGB in 0..1."""

    fitted: Tensor
    held: Tensor

    @property
    def size(self) -> tuple[int, int]:
        return self.fitted.shape[2], self.fitted.shape[3]

    @property
    def drafted(self) -> Tensor:
        """The patches for statistics and drafts."""
        return self.fitted[:: max(1, len(self.fitted) // DRAFTED)]


def looked_at(job: Job) -> Material:
    """The patches that a job's dense network is watched on.

    Raises:
        ImageError: there are no images.
        NetworkError: the network takes no batches.
    """
    found = patches(job.images, job.seed, next(job.network.parameters()).device)
    if not _takes_batches(job.network, found.held):
        raise NetworkError(
            f"{job.network.name} gives other images, or none, for a batch than for each image alone, as networks do "
            "that choose experts by the first image; calibration runs batches; take --method magnitude, or sparse"
        )
    return found


def patches(images: PackedImages, seed: int, device: torch.device | str = "cpu") -> Material:
    """Patches drawn from all images that are large enough, or of the size of the largest where none is.

    Raises:
        ImageError: there are no images.
    """
    if not len(images):
        raise ImageError("there is no image to calibrate on; give some with --data")
    all_of_them = drawn(images, seed, 0, PATCHES + HELD).to(device)
    return Material(all_of_them[:PATCHES], all_of_them[PATCHES:])


def drawn(images: PackedImages, seed: int, step: int, count: int) -> Tensor:
    """LR patches, the same for the same seed and step, from images that are large enough."""
    sides = np.min(images.places[:, 4:6], axis=1)
    size = min(SIZE, int(sides.max()))
    enough = images.take(np.flatnonzero(sides >= size).tolist())
    return Patches(enough, size, seed=seed).batch(step, 0, count)[0]


def difference(network: Network, dense: Network, x: Tensor) -> float:
    """Mean square difference between two networks' images; infinite where one is not a number."""
    with torch.no_grad():
        error = float((network(x) - dense(x)).square().mean())
    return error if np.isfinite(error) else float("inf")


def decibels(error: float) -> float:
    """A mean square difference of images in 0..1 as PSNR."""
    return -10 * float(np.log10(max(error, 1e-12)))


def _takes_batches(network: Network, x: Tensor) -> bool:
    """Whether an image of a batch becomes what it becomes alone."""
    with torch.no_grad():
        alone = network(x[1:2])
        try:
            together = network(x[:2])[1:]
        except Exception:  # whatever its own code finds wrong
            return False
    return bool((together - alone).abs().max() <= ALIKE * alone.abs().max())


def small(x: Tensor) -> Tensor:
    """One small patch."""
    return x[:1, :, :SMALL, :SMALL]


def affordable(network: Network, size: tuple[int, int]) -> tuple[int, int]:
    """How many patches of this size may go through the network at once, and how many rows of each layer may be kept."""
    alive = max(1, peak(network, size, "cpu").activations)
    count = max(1, min(PATCHES, ALIVE // alive))
    left = max(BYTES - count * alive, BYTES // 6)
    return count, max(1, min(ROWS, left // (2 * 4 * max(1, _outputs(network.body)))))


def _outputs(network: nn.Module) -> int:
    """Output channels of all layers; each is kept before and after what is added to it."""
    total = 0
    for module in network.modules():
        if is_layer(module):
            axis = 1 - input_axis(module)
            total += module.weight.shape[axis] * (groups_of(module) if axis else 1)
    return total
