"""PSNR and SSIM of networks over a folder of images."""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from espalier.errors import ImageError, NetworkError
from espalier.evaluation.tiling import OVERLAP
from espalier.evaluation.upscale import Upscaler, by_network, planes_of_array
from espalier.images.folder import Pair, pairs, read_or_skip
from espalier.images.io import as_eight_bits
from espalier.images.metrics import psnr_of_planes, ssim_of_planes
from espalier.images.resize import imresize, modcrop
from espalier.networks.network import Network
from espalier.notebook import table

Progress = Callable[[int, int, str], None]
"""Called after every image with how many are done, how many there are, and the name."""


@dataclass(frozen=True)
class ImageQuality:
    """One image's PSNR in dB (infinite where nothing differs) and SSIM."""

    name: str
    psnr: float
    ssim: float


@dataclass(frozen=True)
class Evaluation:
    """The quality of one network, or of bicubic, on a set of images."""

    network: str
    scale: int
    y: bool
    """Measured on BT.601 Y; else on RGB."""
    images: tuple[ImageQuality, ...]
    skipped: tuple[str, ...] = ()
    """Images that could not be read."""

    @property
    def psnr(self) -> float:
        return sum(image.psnr for image in self.images) / len(self.images)

    @property
    def ssim(self) -> float:
        return sum(image.ssim for image in self.images) / len(self.images)

    def to_dict(self) -> dict[str, Any]:
        """For JSON, which has no infinity: an infinite PSNR is None."""
        return {
            "network": self.network,
            "scale": self.scale,
            "y": self.y,
            "border": self.scale,
            "images": [{"name": i.name, "psnr": _finite(i.psnr), "ssim": i.ssim} for i in self.images],
            "mean": {"psnr": _finite(self.psnr), "ssim": self.ssim},
            "skipped": list(self.skipped),
        }

    def _repr_html_(self) -> str:
        """Every image and the mean, for notebooks."""
        lines = [(i.name, f"{i.psnr:.2f}", f"{i.ssim:.4f}") for i in self.images]
        return table(
            f"{self.network} ×{self.scale}: {self.psnr:.2f} dB, SSIM {self.ssim:.4f}",
            ("Image", "PSNR Y [dB]" if self.y else "PSNR RGB [dB]", "SSIM"),
            lines,
            note=f"skipped: {', '.join(self.skipped)}" if self.skipped else "",
        )


def evaluate(
    network: Network,
    data: str | Path,
    *,
    scale: int | None = None,
    y: bool = True,
    self_ensemble: bool = False,
    tile: int | None = None,
    overlap: int = OVERLAP,
    lr: str | Path | None = None,
    progress: Progress | None = None,
) -> Evaluation:
    """Measure `network` on the images of `data`: border = scale, RGB rounded to 8 bits.

    `data` is a folder of high-resolution images, whose low-resolution versions are made as MATLAB makes them,
    or one that holds both (`espalier.images.folder.pairs`); `lr` names the low-resolution folder outright.
    Grey images are taken as RGB, 16-bit ones as 8-bit ones; damaged ones are named in a SkippedImageWarning.

    Raises:
        ImageError: no usable image, or high and low resolution that are not `scale` apart.
        NetworkError: `scale` is not the network's, or the network gives NaN.
    """
    if scale not in (None, network.scale):
        raise NetworkError(
            f"{network.name} enlarges x{network.scale}, asked for x{scale}: load it with scale={scale} or "
            "leave the scale out"
        )
    upscaler = by_network(network, ensemble=self_ensemble, tile=tile, overlap=overlap)
    return compare({network.name: upscaler}, data, network.scale, y=y, lr=lr, progress=progress)[network.name]


def compare(
    upscalers: Mapping[str, Upscaler],
    data: str | Path,
    scale: int,
    *,
    y: bool = True,
    lr: str | Path | None = None,
    progress: Progress | None = None,
) -> dict[str, Evaluation]:
    """Measure several upscalers (`espalier.evaluation.upscale`) on the same images, each file read once.

    Raises: as `evaluate`.
    """
    found = pairs(data, scale, lr)
    qualities: dict[str, list[ImageQuality]] = {name: [] for name in upscalers}
    skipped: list[str] = []
    for done, pair in enumerate(found, 1):
        loaded = _load(pair, scale)
        if loaded is None:
            skipped.append(pair.name)
        else:
            for name, upscaler in upscalers.items():
                qualities[name].append(image_quality(pair.name, upscaler, *loaded, scale, y))
        if progress is not None:
            progress(done, len(found), pair.name)
    if len(skipped) == len(found):
        raise ImageError(f"none of the {len(found)} images in {data} can be read; the first is {found[0].hr}")
    return {
        name: Evaluation(name, scale, y, tuple(images), tuple(skipped)) for name, images in qualities.items()
    }


def _load(pair: Pair, scale: int) -> tuple[NDArray, NDArray] | None:
    """High and low resolution (H, W, 3) uint8; None where a file is damaged."""
    image = read_or_skip(pair.hr)
    partner = read_or_skip(pair.lr) if pair.lr is not None else None
    if image is None or (partner is None and pair.lr is not None):
        return None
    hr = modcrop(as_eight_bits(image).pixels, scale)
    if min(hr.shape[:2]) < scale:
        raise ImageError(
            f"{pair.hr} has {image.size[1]}x{image.size[0]} pixels: too small to be reduced x{scale}"
        )
    if partner is None:
        return hr, imresize(hr, 1 / scale)
    lr = as_eight_bits(partner).pixels
    if (lr.shape[0] * scale, lr.shape[1] * scale) != hr.shape[:2]:
        raise ImageError(
            f"{pair.hr} has {image.size[1]}x{image.size[0]} pixels and {pair.lr} has "
            f"{lr.shape[1]}x{lr.shape[0]}: not x{scale} apart; choose the low-resolution images of x{scale}, "
            "or give only the high-resolution ones"
        )
    return hr, lr


def image_quality(
    name: str, upscaler: Upscaler, hr: NDArray, lr: NDArray, scale: int, y: bool
) -> ImageQuality:
    """Measure one image, given as (H, W, 3) and (h, w, 3) uint8."""
    try:
        planes = upscaler(lr, y)
        truth = planes_of_array(hr, y)
        return ImageQuality(name, psnr_of_planes(planes, truth, scale), ssim_of_planes(planes, truth, scale))
    except (ImageError, NetworkError) as error:
        raise type(error)(f"{name}: {error}") from error


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None
