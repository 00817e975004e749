"""Images decoded once into one memory-mapped file of pixels, found again by the content of the folder."""

import dataclasses
import hashlib
import json
import os
import warnings
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import torch
from torch import Tensor

from espalier.errors import ImageError
from espalier.files import replacing
from espalier.images.folder import Pair, SkippedImageWarning, pairs
from espalier.images.io import read_image
from espalier.images.resize import imresize, modcrop

FORMAT = "espalier-pixels-1"

Progress = Callable[[int, int], None]
"""Called with the number of images done and of all images."""


@dataclass(frozen=True)
class PackedImages:
    """HR images and their LR versions: one long table of RGB pixels and where each image stands in it."""

    pixels: Tensor
    """(pixels, 3) uint8, memory-mapped unless moved by `to`."""
    places: np.ndarray
    """One row per image: first pixel, height, width of the HR image, then of the LR image."""
    names: tuple[str, ...]
    scale: int
    skipped: tuple[str, ...] = ()
    """One message for each file that could not be used."""
    file: Path | None = None

    def __len__(self) -> int:
        return len(self.names)

    def hr(self, index: int) -> Tensor:
        """The HR image, (3, H, W) uint8."""
        return self._image(*self.places[index, :3])

    def lr(self, index: int) -> Tensor:
        """The LR image, (3, H, W) uint8."""
        return self._image(*self.places[index, 3:])

    def _image(self, first: int, height: int, width: int) -> Tensor:
        rows = self.pixels[int(first) : int(first + height * width)]
        return rows.reshape(int(height), int(width), 3).permute(2, 0, 1)

    def take(self, indices: Sequence[int]) -> "PackedImages":
        """Only these images; the pixels are shared."""
        chosen = [int(i) for i in indices]
        names = tuple(self.names[i] for i in chosen)
        return dataclasses.replace(self, places=self.places[chosen], names=names)

    def hold_out(self, count: int) -> tuple["PackedImages", "PackedImages"]:
        """All but `count` images, and these `count`, spread evenly over the list."""
        if not 0 < count < len(self):
            raise ImageError(
                f"cannot hold out {count} of {len(self)} images for validation; give more images"
            )
        held = {int((i + 0.5) * len(self) / count) for i in range(count)}
        return self.take([i for i in range(len(self)) if i not in held]), self.take(sorted(held))

    def to(self, device: torch.device | str) -> "PackedImages":
        """All pixels on `device`, so that patches are cut there."""
        return dataclasses.replace(self, pixels=self.pixels.to(device))


def pack(
    folders: str | Path | Sequence[str | Path],
    scale: int,
    *,
    lr: str | Path | None = None,
    cache: str | Path | None = None,
    progress: Progress | None = None,
) -> PackedImages:
    """The images of one or more folders, from the cache if their content is the same as then.

    A folder holds HR images (LR made by MATLAB-exact bicubic) or HR/LR pairs in one of the usual layouts.

    Raises:
        ImageError: a folder is missing, or none of its images can be read. One that cannot be is skipped with
            a SkippedImageWarning.
    """
    listed = [folders] if isinstance(folders, str | Path) else list(folders)
    found = [pair for folder in listed for pair in pairs(folder, scale, lr)]
    if not found:
        raise ImageError("no folder of images was given; give at least one")
    root = Path(cache) if cache is not None else default_cache()
    path = root / f"x{scale}-{_digest(found, scale)}.pixels"
    if not path.exists() or not _whole(path):
        _build(path, found, scale, progress)
    images = open_packed(path)
    for message in images.skipped:
        warnings.warn(f"skipped: {message}", SkippedImageWarning, stacklevel=2)
    return images


def default_cache() -> Path:
    """`$ESPALIER_CACHE`, or `espalier` in the user's cache folder."""
    given = os.environ.get("ESPALIER_CACHE")
    if given:
        return Path(given)
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "espalier"


def open_packed(path: Path) -> PackedImages:
    """Map a file written by `pack` into memory."""
    header, offset = _header(path)
    # Copy-on-write mapping: nothing is copied, and torch does not complain about read-only memory.
    flat = np.memmap(path, np.uint8, mode="c", shape=(offset,)) if offset else np.zeros(0, np.uint8)
    return PackedImages(
        pixels=torch.from_numpy(flat).reshape(-1, 3),
        places=np.array(header["places"], np.int64).reshape(-1, 6),
        names=tuple(header["names"]),
        scale=header["scale"],
        skipped=tuple(header["skipped"]),
        file=path,
    )


def _digest(found: Sequence[Pair], scale: int) -> str:
    """Of names and bytes: the same files elsewhere find the same cache, a changed file does not."""
    digest = hashlib.blake2b(f"{FORMAT} x{scale}".encode(), digest_size=16)
    with ThreadPoolExecutor() as pool:
        for pair, hashes in zip(found, pool.map(_hash_pair, found)):
            digest.update(f"\0{pair.name}\0".encode() + hashes)
    return digest.hexdigest()


def _hash_pair(pair: Pair) -> bytes:
    digest = hashlib.blake2b(digest_size=16)
    for path in (pair.hr, pair.lr):
        if path is not None:
            try:
                digest.update(hashlib.blake2b(path.read_bytes()).digest())
            except OSError as error:
                digest.update(f"unreadable {error.errno}".encode())
    return digest.digest()


def _build(path: Path, found: Sequence[Pair], scale: int, progress: Progress | None) -> None:
    header: dict[str, Any] = {"places": [], "names": [], "scale": scale, "skipped": []}
    position = 0
    with replacing(path) as temporary, temporary.open("wb") as file, ThreadPoolExecutor() as pool:
        for done, (pair, result) in enumerate(zip(found, pool.map(lambda p: decode(p, scale), found))):
            if isinstance(result, str):
                header["skipped"].append(result)
            else:
                place: list[int] = []
                for image in result:
                    place += [position, *image.shape[:2]]
                    position += image.shape[0] * image.shape[1]
                    file.write(np.ascontiguousarray(image).tobytes())
                header["places"].append(place)
                header["names"].append(pair.name)
            if progress is not None:
                progress(done + 1, len(found))
        if not header["names"]:
            raise ImageError(f"none of {len(found)} images can be used, the first: {header['skipped'][0]}")
        _write_header(file, header)


def decode(pair: Pair, scale: int) -> tuple[np.ndarray, np.ndarray] | str:
    """The HR and LR pixels, or why there are none."""
    try:
        hr = modcrop(_eight_bits(read_image(pair.hr).pixels), scale)
        if not hr.size:
            return f"{pair.hr} is smaller than {scale}x{scale} pixels"
        lr = imresize(hr, 1 / scale) if pair.lr is None else _eight_bits(read_image(pair.lr).pixels)
    except (ImageError, OSError) as error:
        return str(error)
    lr = np.asarray(lr)
    if lr.shape[0] * scale < hr.shape[0] or lr.shape[1] * scale < hr.shape[1]:
        sizes = f"{lr.shape[1]}x{lr.shape[0]} is not 1/{scale} of {hr.shape[1]}x{hr.shape[0]}"
        return f"{pair.lr}: {sizes}"
    return hr, lr[: hr.shape[0] // scale, : hr.shape[1] // scale]


def _eight_bits(pixels: np.ndarray) -> np.ndarray:
    if pixels.dtype == np.uint16:
        return ((pixels.astype(np.uint32) * 255 + 32767) // 65535).astype(np.uint8)
    return pixels


def _write_header(file: BinaryIO, header: dict[str, Any]) -> None:
    """At the end, as the pixels are written while they are decoded: JSON, its length, the format's name."""
    text = json.dumps(header).encode()
    file.write(text + len(text).to_bytes(8, "little") + FORMAT.encode())


def _header(path: Path) -> tuple[dict[str, Any], int]:
    tail = len(FORMAT) + 8
    with path.open("rb") as file:
        end = file.seek(-tail, os.SEEK_END)
        length = int.from_bytes(file.read(8), "little")
        if file.read() != FORMAT.encode() or length > end:
            raise ImageError(f"{path} is not a file of packed pixels; delete it")
        file.seek(end - length)
        return json.loads(file.read(length)), end - length


def _whole(path: Path) -> bool:
    try:
        header, offset = _header(path)
    except (ImageError, OSError, ValueError):
        return False
    first, height, width = header["places"][-1][3:]
    return (first + height * width) * 3 == offset
