"""Where a network is trained, and where its images lie."""

import os

import torch

from espalier.data.packed import PackedImages
from espalier.training.errors import TrainingError


def pick(name: str | None = None) -> torch.device:
    """The device called `name`; by default this worker's GPU, or the CPU.

    Raises:
        TrainingError: there is no such device.
    """
    if name is None:
        rank = int(os.environ.get("LOCAL_RANK", "0"))
        return torch.device("cuda", rank) if torch.cuda.is_available() else torch.device("cpu")
    try:
        device = torch.device(name)
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError) as error:
        reason = str(error).splitlines()[0]
        raise TrainingError(f"there is no device {name!r} here ({reason}); try --device cpu") from error
    return device


def images_on(images: PackedImages, device: torch.device) -> PackedImages:
    """The whole set on the GPU where it takes less than half of the free memory: patches are cut there."""
    if device.type != "cuda":
        return images
    free, _ = torch.cuda.mem_get_info(device)
    return images.to(device) if images.pixels.nbytes < free / 2 else images
