"""PSNR and SSIM as super-resolution papers define them.

Both images are first rounded to 8 bits, as if they had been written to files; Y is then kept in floating
point; `border` pixels (the scale, by custom) are cut from every side.
"""

import math

import torch
from torch import Tensor

from espalier.errors import ImageError
from espalier.images.color import rgb_to_y

_STRIP = 1 << 15
"""Pixels treated at once: the maps of a photograph stay in the cache, and its memory small."""


def psnr(image: Tensor, truth: Tensor, border: int, y: bool = True) -> float:
    """Peak signal-to-noise ratio in dB of RGB images (1, 3, H, W) in 0..1; infinite where they are equal.

    Raises:
        ImageError: sizes differ, or nothing is left inside the border.
    """
    return psnr_of_planes(measured_planes(image, y), measured_planes(truth, y), border)


def ssim(image: Tensor, truth: Tensor, border: int, y: bool = True) -> float:
    """Structural similarity (Wang et al. 2004) of RGB images (1, 3, H, W) in 0..1.

    Without `y`, the mean over the three channels. The window is an 11 x 11 Gaussian of sigma 1.5, used only
    where it lies wholly inside.

    Raises:
        ImageError: sizes differ, or fewer than 11 pixels are left inside the border.
    """
    return ssim_of_planes(measured_planes(image, y), measured_planes(truth, y), border)


def measured_planes(rgb: Tensor, y: bool) -> Tensor:
    """What papers compare: RGB in 0..1 rounded to 8 bits, then Y (N, 1, H, W) or RGB; float64 in 0..255."""
    return planes_of_bytes(eight_bits(rgb * 255), y)


def planes_of_bytes(rgb: Tensor, y: bool) -> Tensor:
    """`measured_planes` of RGB that already is whole numbers in 0..255."""
    if not y:
        return rgb.double()
    strips = rgb.split(max(1, _STRIP // rgb.shape[-1]), dim=2)
    return torch.cat([rgb_to_y(strip.double() / 255) for strip in strips], 2)


def eight_bits(planes: Tensor) -> Tensor:
    """Round and clip to the whole numbers 0..255; the type stays."""
    return planes.clamp(0, 255).round()


def psnr_of_planes(image: Tensor, truth: Tensor, border: int) -> float:
    """PSNR of planes (N, C, H, W) on the 0..255 scale, taken as they are."""
    image, truth = _inside(image, truth, border, smallest=1)
    error = (image.double() - truth.double()).square().mean().item()
    return 10 * math.log10(255**2 / error) if error else math.inf


def ssim_of_planes(image: Tensor, truth: Tensor, border: int) -> float:
    """SSIM of planes (N, C, H, W) on the 0..255 scale, taken as they are."""
    image, truth = _inside(image, truth, border, smallest=11)
    height, width = image.shape[-2:]
    step = max(1, _STRIP // width)
    total = 0.0
    for top in range(0, height - 10, step):
        rows = (..., slice(top, min(top + step + 10, height)), slice(None))
        total += _similarity(image[rows].double(), truth[rows].double()).sum().item()
    return total / (image.shape[:-2].numel() * (height - 10) * (width - 10))


def _similarity(a: Tensor, b: Tensor) -> Tensor:
    """The SSIM map, 10 pixels smaller each way."""
    c1, c2 = (0.01 * 255) ** 2, (0.03 * 255) ** 2
    # only the sum of the two variances is needed: four blurs, not five
    mean_a, mean_b, squares, product = _blur(torch.stack((a, b, a * a + b * b, a * b)))
    means = mean_a * mean_b
    powers = mean_a.square() + mean_b.square()
    similarity = (2 * means + c1) * (2 * (product - means) + c2)
    return similarity / ((powers + c1) * (squares - powers + c2))


def _inside(image: Tensor, truth: Tensor, border: int, smallest: int) -> tuple[Tensor, Tensor]:
    if image.shape != truth.shape:
        raise ImageError(
            f"cannot compare images of {_shown(image)} and {_shown(truth)} pixels: they must agree in size"
        )
    height, width = image.shape[-2:]
    if min(height, width) < smallest + 2 * border:
        raise ImageError(
            f"cannot measure an image of {width}x{height} pixels: with a border of {border} it must have "
            f"at least {smallest + 2 * border} each way"
        )
    inner = (..., slice(border, height - border), slice(border, width - border))
    return image[inner], truth[inner]


def _shown(image: Tensor) -> str:
    return f"{image.shape[-1]}x{image.shape[-2]}x{image.shape[-3]}"


def _blur(planes: Tensor) -> Tensor:
    offsets = torch.arange(-5, 6, dtype=torch.float64)
    window = torch.exp(-(offsets**2) / (2 * 1.5**2))
    window = (window / window.sum()).tolist()
    return _blur_along(_blur_along(planes, -2, window), -1, window)


def _blur_along(planes: Tensor, dim: int, window: list[float]) -> Tensor:
    length = planes.shape[dim] - 10
    total = planes.narrow(dim, 5, length) * window[5]
    for tap in range(5):  # the window is symmetric
        total.add_(planes.narrow(dim, tap, length) + planes.narrow(dim, 10 - tap, length), alpha=window[tap])
    return total
