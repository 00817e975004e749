"""Folders of images: what is in them, and which low-resolution file belongs to which high-resolution one."""

import re
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from espalier.errors import ImageError
from espalier.images.io import FORMATS, Image, read_image

_HR = ("hr", "gt", "gtmod12", "gtmod4", "original", "high")
_LR = ("lr", "lq", "low")


class SkippedImageWarning(UserWarning):
    """An image could not be read and was left out."""


@dataclass(frozen=True)
class Pair:
    """A high-resolution image and its low-resolution partner; `lr` is None where it must be made."""

    name: str
    hr: Path
    lr: Path | None = None


def list_images(folder: str | Path) -> list[Path]:
    """The image files of a folder by name, or the one file that `folder` is.

    Raises:
        ImageError: no such folder, or no images in it.
    """
    folder = Path(folder)
    images = _images_in(folder)
    if not images:
        raise ImageError(f"no images in {folder}: looked for {', '.join(FORMATS)}")
    return images


def read_or_skip(path: Path) -> Image | None:
    """Read an image; a damaged one is named in a SkippedImageWarning and None comes back."""
    try:
        return read_image(path)
    except ImageError as error:
        warnings.warn(f"skipped: {error}", SkippedImageWarning, stacklevel=2)
        return None


def pairs(folder: str | Path, scale: int, lr: str | Path | None = None) -> list[Pair]:
    """The images of a benchmark folder, with their low-resolution files where the folder has them.

    Layouts: a folder of images; `HR` (or GT, original, DIV2K_train_HR) beside `LR_bicubic/X4`, `LR`, `LQ`,
    `LRbicx4`; one folder of `*_SRF_4_HR` and `*_SRF_4_LR`. Partners are named `name`, `namex4`, `name_x4`.
    `lr` names the low-resolution folder outright.

    Raises:
        ImageError: no images, or a low-resolution folder without a partner for some image.
    """
    folder = Path(folder)
    images = _images_in(folder)
    if not images:
        home = _subfolder(folder, _is_high)
        if home is None:
            raise ImageError(f"no images in {folder}: looked for {', '.join(FORMATS)} there and in HR, GT")
        images = list_images(home)
        lr = lr if lr is not None else _low_folder(folder, home, scale)
    elif lr is None and any("_SRF_" in image.stem for image in images):
        return _side_by_side(images, scale, folder)
    if lr is None:
        return [Pair(image.stem, image) for image in images]
    return _matched(images, list_images(lr), scale, Path(lr))


def _images_in(folder: Path) -> list[Path]:
    if folder.is_file():
        return [folder]
    if not folder.is_dir():
        raise ImageError(f"cannot read images from {folder}: there is no such folder")
    files = (file for file in folder.iterdir() if not file.name.startswith("."))
    return sorted(file for file in files if file.suffix.lower() in FORMATS and file.is_file())


def _is_high(name: str) -> bool:
    return name in _HR or name.endswith("_hr")


def _is_low(name: str) -> bool:
    return name.startswith(_LR) or "_lr" in name


def _subfolder(folder: Path, accept: Callable[[str], bool]) -> Path | None:
    return next((f for f in sorted(folder.iterdir()) if f.is_dir() and accept(f.name.lower())), None)


def _low_folder(folder: Path, home: Path, scale: int) -> Path | None:
    """The low-resolution folder that belongs to `home`; None where the folder has none of this scale."""
    prefix = home.name.lower().removesuffix("hr") if "_hr" in home.name.lower() else ""
    candidates = [f for f in sorted(folder.iterdir()) if f.is_dir() and f.name.lower().startswith(prefix)]
    ending = re.compile(rf"(^|[^0-9])x{scale}$", re.IGNORECASE)
    plain: list[Path] = []
    for low in (f for f in candidates if f != home and _is_low(f.name.lower())):
        inside = [f for f in sorted(low.iterdir()) if f.is_dir() and ending.search(f.name)]
        if inside:
            return inside[0]
        if ending.search(low.name):
            return low
        if not re.search(r"x[0-9]+$", low.name, re.IGNORECASE) and _images_in(low):
            plain.append(low)
    return plain[0] if plain else None


def _matched(images: list[Path], low: list[Path], scale: int, folder: Path) -> list[Pair]:
    by_name = {re.sub(rf"(_?x{scale}|_LR)$", "", file.stem): file for file in low}
    by_name |= {file.stem: file for file in low}
    missing = [image.name for image in images if image.stem not in by_name]
    if missing:
        other = next((file.name for file in low if re.search(r"x[0-9]+$", file.stem)), None)
        named = f" ({other} is named for another scale)" if other else ""
        raise ImageError(
            f"{len(missing)} of {len(images)} images have no low-resolution partner in {folder}, the first "
            f"is {missing[0]}: expected {Path(missing[0]).stem}x{scale} or the same name{named}"
        )
    return [Pair(image.stem, image, by_name[image.stem]) for image in images]


def _side_by_side(images: list[Path], scale: int, folder: Path) -> list[Pair]:
    high = [image for image in images if image.stem.endswith(f"_SRF_{scale}_HR")]
    low = {image.stem: image for image in images}
    if not high:
        raise ImageError(f"no images of scale {scale} in {folder}: expected files named *_SRF_{scale}_HR")
    return [Pair(image.stem, image, low.get(f"{image.stem[:-2]}LR")) for image in high]
