"""What exported files are compared on: noise would show differences that no image does."""

import math
from importlib.resources import files
from pathlib import Path

from torch import Tensor

from espalier.images.folder import list_images
from espalier.images.io import read_image, to_tensor


def photograph() -> Tensor:
    """A bundled photograph, (1, 3, H, W) in 0..1."""
    folder = Path(str(files("espalier.demo"))) / "photos" / "evaluation"
    return to_tensor(read_image(list_images(folder)[0]))


def part(image: Tensor, size: tuple[int, int]) -> Tensor:
    """The middle of an image (1, 3, H, W); one that is too small is repeated."""
    repeats = [math.ceil(wanted / there) for wanted, there in zip(size, image.shape[-2:])]
    image = image.repeat(1, 1, *repeats)
    top, left = ((there - wanted) // 2 for there, wanted in zip(image.shape[-2:], size))
    return image[..., top : top + size[0], left : left + size[1]].contiguous()
