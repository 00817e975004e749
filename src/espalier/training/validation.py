"""PSNR during training on a few whole images."""

from collections.abc import Callable, Mapping

import torch
from torch import nn

from espalier.data.packed import PackedImages
from espalier.images.metrics import psnr

Validation = Callable[[nn.Module], Mapping[str, float]]
"""Network -> numbers by name; "psnr" (larger is better) decides which checkpoint is the best."""


def psnr_on(images: PackedImages, *, y: bool = True, name: str = "psnr") -> Validation:
    """Mean PSNR of whole packed images (on Y, border = scale)."""

    @torch.no_grad()
    def validate(network: nn.Module) -> Mapping[str, float]:
        device = next(network.parameters()).device
        total = 0.0
        for index in range(len(images)):
            lr, hr = (image[None].float().div(255) for image in (images.lr(index), images.hr(index)))
            total += psnr(network(lr.to(device)).float().cpu(), hr.cpu(), images.scale, y)
        return {name: total / len(images)}

    return validate
