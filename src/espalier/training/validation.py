"""PSNR and SSIM during training on a few whole images."""

from collections.abc import Callable, Mapping

import torch
from torch import nn

from espalier.data.packed import PackedImages
from espalier.images.metrics import measured_planes, psnr_of_planes, ssim_of_planes

Validation = Callable[[nn.Module], Mapping[str, float]]
"""Network -> numbers by name; "psnr" (larger is better) decides which checkpoint is the best."""


def psnr_on(images: PackedImages, *, y: bool = True) -> Validation:
    """Mean PSNR and SSIM of whole packed images, border = scale, on Y or RGB."""

    @torch.no_grad()
    def validate(network: nn.Module) -> Mapping[str, float]:
        device = next(network.parameters()).device
        psnr = ssim = 0.0
        for index in range(len(images)):
            lr, hr = (image[None].float().div(255) for image in (images.lr(index), images.hr(index)))
            planes = measured_planes(network(lr.to(device)).float().cpu(), y), measured_planes(hr.cpu(), y)
            psnr += psnr_of_planes(*planes, border=images.scale) / len(images)
            ssim += ssim_of_planes(*planes, border=images.scale) / len(images)
        return {"psnr": psnr, "ssim": ssim}

    return validate


def on_sets(sets: Mapping[str, PackedImages], *, y: bool = True) -> Validation:
    """PSNR and SSIM of several sets, as "NAME psnr"; the first set's are also the "psnr" that decides."""
    validations = {name: psnr_on(images, y=y) for name, images in sets.items()}

    def validate(network: nn.Module) -> Mapping[str, float]:
        scores: dict[str, float] = {}
        for name, validation in validations.items():
            found = validation(network)
            scores = {**found, **scores} | {f"{name} {key}": value for key, value in found.items()}
        return scores

    return validate
