"""Crops and error maps as data URIs, small enough to live inside a page."""

import base64
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image as pil

from espalier.images.io import read_image
from espalier.report.folder import VERSIONS, Crop

BUDGET = 4_200_000
"""Characters that all pictures of a page may take together; the page itself stays under 5 MB."""

HEAT = ((0, 0, 4), (59, 15, 112), (140, 41, 129), (222, 73, 104), (254, 159, 109), (252, 253, 191))
"""Stops of the error maps' palette, from no error to the largest."""


@dataclass(frozen=True)
class Picture:
    """One version of a crop, ready for a page."""

    version: str
    uri: str
    psnr: float | None
    error: str | None
    """Error map as a data URI; None for the original."""


@dataclass(frozen=True)
class Panel:
    """One crop in all its versions."""

    image: str
    reason: str
    place: str
    width: int
    height: int
    pictures: tuple[Picture, ...]


def panels(crops: Sequence[Crop]) -> tuple[tuple[Panel, ...], float]:
    """As many crops as fit the budget, and the error (in 8-bit levels) at the palette's end."""
    loaded = [(crop, _load(crop)) for crop in crops]
    top = _largest_error([pictures for _, pictures in loaded])
    made: list[Panel] = []
    spent = 0
    for crop, pictures in loaded:
        panel = _panel(crop, pictures, top)
        spent += sum(len(p.uri) + len(p.error or "") for p in panel.pictures)
        if spent > BUDGET:
            break
        made.append(panel)
    return tuple(made), top


def _load(crop: Crop) -> dict[str, NDArray]:
    return {v: read_image(crop.files[v]).pixels for v in VERSIONS if v in crop.files}


def _panel(crop: Crop, pictures: Mapping[str, NDArray], top: float) -> Panel:
    truth = pictures.get("original")
    height, width = next(iter(pictures.values())).shape[:2]
    left, upper, _, _ = crop.box
    return Panel(
        image=crop.image,
        reason=crop.reason,
        place=f"{width} × {height} pixels at ({left}, {upper})",
        width=width,
        height=height,
        pictures=tuple(
            Picture(
                version=version,
                uri=_webp(pixels),
                psnr=crop.psnr.get(version),
                error=None if truth is None or version == "original" else heat(_error(pixels, truth), top),
            )
            for version, pixels in pictures.items()
        ),
    )


def _error(pixels: NDArray, truth: NDArray) -> NDArray:
    """Mean absolute difference over the colours, in 8-bit levels."""
    return np.abs(pixels.astype(np.float32) - truth.astype(np.float32)).mean(2)


def _largest_error(crops: Sequence[Mapping[str, NDArray]]) -> float:
    """One scale for all maps: the 99.5th percentile, lest single pixels darken the rest; at least 8."""
    errors = [
        _error(pixels, pictures["original"]).ravel()
        for pictures in crops
        if "original" in pictures
        for version, pixels in pictures.items()
        if version != "original"
    ]
    return float(np.ceil(max(8.0, np.percentile(np.concatenate(errors), 99.5)))) if errors else 8.0


def heat(error: NDArray, top: float) -> str:
    """An error map as a palette PNG: at most 64 colours, a few kilobytes."""
    levels = (error / top).clip(0, 1) * 63
    image = pil.fromarray(levels.round().astype(np.uint8))
    image.putpalette(palette(64))
    buffer = io.BytesIO()
    image.save(buffer, "PNG", optimize=True)
    return _uri("image/png", buffer.getvalue())


def palette(size: int) -> list[int]:
    """Red, green, blue of `size` colours between the stops of `HEAT`."""
    places = np.linspace(0, len(HEAT) - 1, size)
    stops = np.array(HEAT, dtype=np.float64).T
    colours = np.stack([np.interp(places, range(len(HEAT)), channel) for channel in stops], 1)
    return colours.round().astype(int).ravel().tolist()


def _webp(pixels: NDArray) -> str:
    buffer = io.BytesIO()
    pil.fromarray(pixels if pixels.dtype == np.uint8 else (pixels >> 8).astype(np.uint8)).save(
        buffer, "WEBP", lossless=True, quality=80, method=4
    )
    return _uri("image/webp", buffer.getvalue())


def _uri(kind: str, data: bytes) -> str:
    return f"data:{kind};base64,{base64.b64encode(data).decode('ascii')}"
