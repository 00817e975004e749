"""Large images in overlapping parts, so that memory does not grow with the image."""

import functools
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from torch import Tensor

from espalier.costs.memory import peak
from espalier.networks.network import Network

Shape = tuple[int, int]
OVERLAP = 32
ALIGN = 16
"""Parts begin at multiples of this, so that attention windows lie as in the whole image."""
MEMORY = 1 << 30
"""Bytes that one run may take before an image is cut into parts."""
_MOST = 50_000
"""More bytes per pixel than any network we know needs: images that fit at this need no closer look."""


@dataclass(frozen=True)
class Part:
    """One part along one axis: what is read, what is kept of it, in pixels of the input."""

    start: int
    stop: int
    read_start: int
    read_stop: int


def parts(length: int, tile: int, overlap: int) -> list[Part]:
    """Cut an axis into parts of about equal length, at most `tile` each (rounded up to a multiple of 16).

    Each part is read with `overlap` more pixels on both sides, as far as the image goes.
    """
    step = _aligned(math.ceil(length / math.ceil(length / tile)))
    margin = _aligned(overlap)
    return [
        Part(start, min(start + step, length), max(start - margin, 0), min(start + step + margin, length))
        for start in range(0, length, step)
    ]


def tiled(
    run: Callable[[Tensor], Tensor],
    image: Tensor,
    scale: int,
    tile: int,
    overlap: int = OVERLAP,
    finish: Callable[[Tensor], Tensor] = lambda out: out,
) -> Tensor:
    """Run on parts of `image` (N, C, H, W) of at most `tile` pixels each way, put together on the CPU.

    `finish` is applied to every part: rounding to bytes there keeps the memory of a photograph small. Where
    `overlap` covers the reach of the network, there are no seams; networks that look at the whole image give
    other values.
    """
    result: Tensor | None = None
    height, width = image.shape[-2:]
    for rows, columns in _grid(height, width, tile, overlap):
        read = image[..., rows.read_start : rows.read_stop, columns.read_start : columns.read_stop]
        out = finish(_kept(run(read), rows, columns, scale)).cpu()
        if result is None:
            result = out.new_empty(*out.shape[:-2], height * scale, width * scale)
        result[..., _scaled(rows, scale), _scaled(columns, scale)] = out
    assert result is not None
    return result


def bytes_per_pixel(network: Network) -> float:
    """Peak memory of a run per pixel of the input."""
    return peak(network, (64, 64)).activations / 64**2


def fitting_tile(network: Network, limit: int = MEMORY) -> Callable[[Shape], int | None]:
    """For a size (height, width) the tile with which a run stays within `limit` bytes; None if none is needed.

    Tiles are not made smaller than 64 pixels. The network's memory is measured once, when a size asks for it.
    """
    measured = functools.cache(lambda: bytes_per_pixel(network))

    def tile(size: Shape) -> int | None:
        pixels = size[0] * size[1]
        if pixels * _MOST <= limit or pixels * measured() <= limit:
            return None
        edge = math.isqrt(int(limit / measured())) - 2 * OVERLAP
        return max(64, edge // ALIGN * ALIGN)

    return tile


def _aligned(length: int) -> int:
    return math.ceil(length / ALIGN) * ALIGN


def _grid(height: int, width: int, tile: int, overlap: int) -> Iterator[tuple[Part, Part]]:
    for rows in parts(height, tile, overlap):
        for columns in parts(width, tile, overlap):
            yield rows, columns


def _kept(out: Tensor, rows: Part, columns: Part, scale: int) -> Tensor:
    top, left = (part.start - part.read_start for part in (rows, columns))
    height, width = (part.stop - part.start for part in (rows, columns))
    return out[..., top * scale : (top + height) * scale, left * scale : (left + width) * scale]


def _scaled(part: Part, scale: int) -> slice:
    return slice(part.start * scale, part.stop * scale)
