"""What the method looks at: patches, and at how many positions of them."""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from espalier.calibration.layers import input_axis, is_layer
from espalier.data import PackedImages, Patches
from espalier.errors import ImageError

PATCHES, DRAFTED, HELD, SIZE = 64, 32, 8, 48
"""LR patches to calibrate on, how many of them for drafts, more to choose by, and their height and width."""
SMALL = 24
"""Height and width of the patch on which groups are tried for linearity."""
ROWS, BYTES = 65536, 2**30
"""Positions of each layer at the last refit, and what the outputs there may take; fewer positions where it is more."""


@dataclass(frozen=True)
class Material:
    """LR patches, RGB in 0..1."""

    fitted: Tensor
    held: Tensor

    @property
    def drafted(self) -> Tensor:
        """The patches for statistics and drafts."""
        return self.fitted[:: max(1, len(self.fitted) // DRAFTED)]


def patches(images: PackedImages, seed: int, device: torch.device | str = "cpu") -> Material:
    """Patches drawn from all images, smaller where the images are.

    Raises:
        ImageError: there are no images.
    """
    if not len(images):
        raise ImageError("there is no image to calibrate on; give some with --data")
    size = min(SIZE, int(np.min(images.places[:, 4:6], axis=1).max()))
    drawn, _ = Patches(images, size, seed=seed).batch(0, 0, PATCHES + HELD)
    drawn = drawn.to(device)
    return Material(drawn[:PATCHES], drawn[PATCHES:])


def small(x: Tensor) -> Tensor:
    """One small patch."""
    return x[:1, :, :SMALL, :SMALL]


def affordable_rows(network: nn.Module) -> int:
    """Positions at which all layers' outputs, before and after what is added to them, fit into `BYTES`."""
    outputs = 0
    for module in network.modules():
        if is_layer(module):
            axis = 1 - input_axis(module)
            outputs += module.weight.shape[axis] * (
                module.groups if axis and not isinstance(module, nn.Linear) else 1
            )
    return max(1, min(ROWS, BYTES // (2 * 4 * max(1, outputs))))
