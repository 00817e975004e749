"""Patches by number: those of step s depend on the seed, s and their index, on nothing else."""

import warnings
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from torch import Tensor

from espalier.data.packed import PackedImages
from espalier.errors import ImageError
from espalier.images.folder import SkippedImageWarning

Degradation = Callable[[Tensor, int, np.random.Generator], Tensor]
"""(3, sH, sW) float HR patch in 0..1, scale, generator -> (3, H, W) LR patch in 0..1."""


def generator(seed: int, step: int, stream: int = 0) -> np.random.Generator:
    """A counter-based random stream: no state to save, the same on every machine."""
    counter = np.array([0, 0, stream, step], np.uint64)
    return np.random.Generator(np.random.Philox(key=np.uint64(seed), counter=counter))


@dataclass(frozen=True)
class Patches:
    """Random square patches of packed images, each position of each image equally likely."""

    images: PackedImages
    size: int
    """Height and width of the LR patch."""
    seed: int = 0
    augment: bool = True
    """Flip and turn by quarter turns (8 ways)."""
    degradation: Degradation | None = None
    """Makes the LR patch from the HR patch; none takes it from the packed LR image."""

    def __post_init__(self) -> None:
        if not self.positions[-1] > 0:
            raise ImageError(
                f"no image is as large as a patch: {self.size}x{self.size} LR pixels are"
                f" {self.size * self.images.scale} pixels a side in HR; give larger images or smaller patches"
            )
        small = [
            name for name, places in zip(self.images.names, np.diff(self.positions, prepend=0)) if not places
        ]
        if small:
            warnings.warn(
                f"{len(small)} of {len(self.images)} images are smaller than a patch of {self.size} LR pixels and"
                f" are never drawn: {', '.join(small[:3])}{', ...' if small[3:] else ''}",
                SkippedImageWarning,
                stacklevel=3,
            )

    @cached_property
    def positions(self) -> np.ndarray:
        """Running sum over the images of the places a patch can take; images that are too small have none."""
        height, width = self.images.places[:, 4] - self.size + 1, self.images.places[:, 5] - self.size + 1
        return np.cumsum(np.clip(height, 0, None) * np.clip(width, 0, None))

    def batch(self, step: int, first: int, count: int) -> tuple[Tensor, Tensor]:
        """Patches `first` to `first + count` of `step`: LR (count, 3, size, size) and HR, float in 0..1."""
        uniform = generator(self.seed, step).random((first + count, 2))[first:]
        image, top, left = self._where(uniform[:, 0])
        way = (uniform[:, 1] * 8).astype(np.int64) if self.augment else np.zeros(count, np.int64)
        hr = self._cut(image, top, left, way, self.images.scale)
        if self.degradation is None:
            return self._cut(image, top, left, way, 1), hr
        streams = [generator(self.seed, step, 1 + first + i) for i in range(count)]
        lr = [self.degradation(patch, self.images.scale, stream) for patch, stream in zip(hr, streams)]
        return torch.stack(lr), hr

    def _where(self, uniform: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Image, top and left of the LR patch for uniform numbers in [0, 1)."""
        ends = self.positions
        number = (uniform * ends[-1]).astype(np.int64)
        image = np.searchsorted(ends, number, side="right")
        number -= np.concatenate(([0], ends))[image]
        top, left = np.divmod(number, self.images.places[image, 5] - self.size + 1)
        return image, top, left

    def _cut(
        self, image: np.ndarray, top: np.ndarray, left: np.ndarray, way: np.ndarray, scale: int
    ) -> Tensor:
        """Pixels by index arithmetic: a flip or a turn is another first pixel and other strides."""
        first, _, width = self.images.places[image, :3].T if scale > 1 else self.images.places[image, 3:].T
        size = self.size * scale
        down, right = width.copy(), np.ones_like(width)
        start = first + top * scale * width + left * scale
        start, down = np.where(way & 1, start + (size - 1) * down, start), np.where(way & 1, -down, down)
        start, right = np.where(way & 2, start + (size - 1) * right, start), np.where(way & 2, -right, right)
        down, right = np.where(way & 4, right, down), np.where(way & 4, down, right)
        device = self.images.pixels.device
        corner, down, right = (torch.from_numpy(v).to(device).view(-1, 1, 1) for v in (start, down, right))
        steps = torch.arange(size, device=device)
        rows = corner + steps.view(1, -1, 1) * down + steps.view(1, 1, -1) * right
        return self.images.pixels[rows].permute(0, 3, 1, 2).float().div_(255)
