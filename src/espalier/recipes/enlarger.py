"""What enlarges images: a network in torch, or an exported file of ours or of others in its own runtime."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from torch import Tensor
from torch.nn import functional

from espalier.costs.running import at_rest
from espalier.errors import NetworkError
from espalier.evaluation.tiling import ALIGN, OVERLAP, fitting_tile
from espalier.export import ncnn, onnx, openvino
from espalier.export.target import Loaded
from espalier.networks.load import load
from espalier.networks.network import Network

MEMORY = 400 << 20
"""Bytes that a network may take for one part: with the enlarged photograph beside it, 2 GiB are enough."""
FILE_TILE = 256
"""Of an exported file nobody knows beforehand what memory it takes."""
RUNTIMES = {".onnx": onnx, ".xml": openvino, ".param": ncnn}
"""By the last ending of a file's name."""


@dataclass(frozen=True)
class Enlarger:
    """Something that enlarges RGB (1, 3, H, W) in 0..1, and the parts in which it should be fed."""

    scale: int
    run: Callable[[Tensor], Tensor]
    tile: Callable[[tuple[int, int]], int | None]
    """Part for an image of this height and width; None for the whole at once."""
    overlap: int = OVERLAP


def open_enlarger(reference: str, scale: int | None = None) -> Enlarger:
    """Anything that `espalier.load` takes, or an exported file of one of the `RUNTIMES`.

    Raises:
        NetworkError: it cannot be loaded, or is for another scale.
        MissingExtraError: an exported file, and its runtime is not installed.
    """
    if Path(reference).suffix.lower() not in RUNTIMES:
        return of_network(load(reference, scale=scale))
    found = of_file(Path(reference))
    if scale not in (None, found.scale):
        raise NetworkError(f"{reference} enlarges x{found.scale}, but x{scale} was asked for")
    return found


def of_network(network: Network) -> Enlarger:
    """Parts are as large as memory allows."""
    like = next(network.parameters(), torch.empty(0))

    def run(x: Tensor) -> Tensor:
        with at_rest(network):
            return network(x.to(like, memory_format=torch.channels_last))  # faster on most processors

    return Enlarger(network.scale, run, fitting_tile(network, MEMORY))


def of_file(path: Path) -> Enlarger:
    """A file with one image in and one out; one of a fixed size is fed parts padded to it.

    Raises:
        NetworkError: it cannot be loaded, is no super-resolution network, or its size is too small for parts.
    """
    if not path.is_file():
        raise NetworkError(f"there is no file {path}")
    loaded = RUNTIMES[path.suffix.lower()].opened(path)
    shape, run = loaded.shape, loaded.run
    if len(shape) != 4 or shape[1] not in (None, 3):
        raise NetworkError(f"{path} takes {shape}: expected RGB images, (batch, 3, height, width)")
    height, width = shape[2:]
    if height is None or width is None:
        scale, least = _scale(loaded, (64, 64), path), loaded.metadata.get("minimum", 1)
        return Enlarger(scale, lambda x: _filled(run, x, _at_least(x, least), scale), lambda _size: FILE_TILE)
    size = (height, width)
    overlap = min(OVERLAP, min(size) // 4 // ALIGN * ALIGN)
    tile = (min(size) - 2 * overlap) // ALIGN * ALIGN
    if tile < ALIGN:
        raise NetworkError(f"{path} takes only {size[1]}x{size[0]} pixels; expected {ALIGN} or more")
    scale = _scale(loaded, size, path)
    return Enlarger(scale, lambda x: _filled(run, x, size, scale), lambda _size: tile, overlap)


def with_tile(enlarger: Enlarger, tile: int) -> Enlarger:
    """The same, fed parts of `tile` pixels.

    Raises:
        NetworkError: `tile` is too small.
    """
    if tile < ALIGN:
        raise NetworkError(f"--tile is {tile}: expected {ALIGN} pixels or more")
    return replace(enlarger, tile=lambda _size: tile)


def _scale(loaded: Loaded, size: tuple[int, int], path: Path) -> int:
    """As the file says, else as it does."""
    told = loaded.metadata.get("scale")
    if told is not None:
        return int(told)
    out = loaded.run(torch.full((1, 3, *size), 0.5))
    scale, rest = divmod(out.shape[-2], size[0])
    if rest or tuple(out.shape) != (1, 3, scale * size[0], scale * size[1]):
        raise NetworkError(
            f"{path} makes {tuple(out.shape)} of an image of {size[1]}x{size[0]}: no enlargement"
        )
    return scale


def _at_least(x: Tensor, least: int) -> tuple[int, int]:
    return max(x.shape[-2], least), max(x.shape[-1], least)


def _filled(run: Callable[[Tensor], Tensor], x: Tensor, size: tuple[int, int], scale: int) -> Tensor:
    """Run a part that may be smaller than the size that the file takes."""
    height, width = x.shape[-2:]
    if height > size[0] or width > size[1]:
        raise NetworkError(f"the file takes only {size[1]}x{size[0]} pixels; leave --tile out")
    below, right = size[0] - height, size[1] - width
    mode = "reflect" if below < height and right < width else "replicate"
    return run(functional.pad(x, (0, right, 0, below), mode=mode))[..., : height * scale, : width * scale]
