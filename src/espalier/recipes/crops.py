"""Pictures for the report: places of the test images as every version of the network shows them."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn.functional import avg_pool2d

from espalier.data import PackedImages
from espalier.evaluation.upscale import Upscaler
from espalier.images.io import Image, write_image
from espalier.recipes.run import write_json
from espalier.report.folder import CROPS

SIDE = 144
"""Height and width of a crop in high-resolution pixels, smaller where the image is."""
IMAGES = 8
"""Test images that are looked at, spread evenly."""
REGION = 512
"""Of larger images only a middle region of this many low-resolution pixels each way is run."""
DIFFERENT, TYPICAL = 4, 2


@dataclass(frozen=True)
class Shot:
    """The middle of one test image in all versions, (H, W, 3) uint8 each."""

    name: str
    versions: Mapping[str, NDArray]
    corner: tuple[int, int]
    """Left and top of the region in the high-resolution image."""


@dataclass(frozen=True)
class Place:
    """Where a crop is cut from a shot, and how much dense and final network differ there."""

    shot: int
    left: int
    top: int
    difference: float


def write_crops(run: Path, images: PackedImages, upscalers: Mapping[str, Upscaler], final: str) -> None:
    """Write crops and `crops.json`: where "dense" and `final` differ most, and typical places."""
    shots = [_shot(images, index, upscalers) for index in _spread(len(images))]
    worst = sorted((_worst(shots, k, final) for k in range(len(shots))), key=lambda place: -place.difference)
    typical = [_typical(shots, place.shot, final) for place in worst[DIFFERENT:] + worst[:DIFFERENT]]
    chosen = [(place, "differs most") for place in worst[:DIFFERENT]]
    chosen += [(place, "typical") for place in typical[:TYPICAL]]
    records = [_write(run / CROPS, k, shots[place.shot], place, why) for k, (place, why) in enumerate(chosen)]
    write_json(run / CROPS, records)


def _spread(count: int) -> list[int]:
    return sorted({int((k + 0.5) * count / IMAGES) for k in range(IMAGES)})


def _shot(images: PackedImages, index: int, upscalers: Mapping[str, Upscaler]) -> Shot:
    lr, hr = (image.permute(1, 2, 0).numpy() for image in (images.lr(index), images.hr(index)))
    rows, columns = _middle(lr.shape[0]), _middle(lr.shape[1])
    scale = images.scale
    lr = lr[rows, columns]
    truth = hr[_times(rows, scale), _times(columns, scale)]
    versions = {name: _pixels(upscaler(lr, False)) for name, upscaler in upscalers.items()}
    return Shot(
        images.names[index], {**versions, "original": truth}, (columns.start * scale, rows.start * scale)
    )


def _middle(length: int) -> slice:
    start = max(0, (length - REGION) // 2)
    return slice(start, min(length, start + REGION))


def _times(part: slice, scale: int) -> slice:
    return slice(part.start * scale, part.stop * scale)


def _pixels(planes: torch.Tensor) -> NDArray:
    """(1, 3, H, W) in 0..255 as an image in bytes."""
    return planes[0].permute(1, 2, 0).round().clamp(0, 255).to(torch.uint8).numpy()


def _differences(shot: Shot, final: str) -> tuple[torch.Tensor, tuple[int, int]]:
    """Mean difference in windows of a crop's size, at every eighth pixel; and that size (height, width)."""
    pair = [torch.from_numpy(shot.versions[v].astype(np.float32)).mean(2) for v in ("dense", final)]
    error = (pair[0] - pair[1]).abs()
    size = min(SIDE, error.shape[0]), min(SIDE, error.shape[1])
    return avg_pool2d(error[None, None], size, stride=8)[0, 0], size


def _worst(shots: list[Shot], index: int, final: str) -> Place:
    means, _ = _differences(shots[index], final)
    return _place(means, int(means.argmax()), index)


def _typical(shots: list[Shot], index: int, final: str) -> Place:
    """The window whose difference is the median of its image's."""
    means, _ = _differences(shots[index], final)
    return _place(means, int(means.flatten().argsort()[means.numel() // 2]), index)


def _place(means: torch.Tensor, flat: int, index: int) -> Place:
    row, column = divmod(flat, means.shape[1])
    return Place(index, column * 8, row * 8, float(means.flatten()[flat]))


def _write(file: Path, number: int, shot: Shot, place: Place, why: str) -> dict[str, object]:
    truth = shot.versions["original"]
    rows = slice(place.top, min(place.top + SIDE, truth.shape[0]))
    columns = slice(place.left, min(place.left + SIDE, truth.shape[1]))
    files, psnr = {}, {}
    for version, picture in shot.versions.items():
        files[version] = f"{number}-{version}.png"
        write_image(file.parent / files[version], Image(np.ascontiguousarray(picture[rows, columns])))
        if version != "original":
            psnr[version] = _psnr(picture[rows, columns], truth[rows, columns])
    left, top = shot.corner[0] + columns.start, shot.corner[1] + rows.start
    box = [left, top, left + columns.stop - columns.start, top + rows.stop - rows.start]
    return {"image": shot.name, "reason": why, "box": box, "files": files, "psnr": psnr}


def _psnr(picture: NDArray, truth: NDArray) -> float:
    """RGB, no border, capped where nothing differs."""
    error = float(np.mean((picture.astype(np.float64) - truth) ** 2))
    return 99.0 if error == 0 else float(10 * np.log10(255**2 / error))
