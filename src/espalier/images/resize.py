"""Bicubic resizing that equals MATLAB's imresize to the last bit on integer images.

The kernel is Keys' cubic with a = -0.5, widened by the factor when shrinking. MATLAB treats one dimension
after the other, rows first, and rounds integer images in between: without that every tenth pixel differs.
"""

import math
from functools import lru_cache
from typing import Literal, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

Edge = Literal["mirror", "clamp"]
AnyImage = TypeVar("AnyImage", NDArray, Tensor)

_CHUNK = 1 << 16
"""Numbers of one accumulator when resizing arrays: small enough to stay in the cache over all taps."""


def modcrop(image: AnyImage, scale: int) -> AnyImage:
    """Crop bottom and right until `scale` divides both; array (H, W, ...) or tensor (..., H, W)."""
    if isinstance(image, Tensor):
        height, width = image.shape[-2:]
        return image[..., : height - height % scale, : width - width % scale]
    height, width = image.shape[:2]
    return image[: height - height % scale, : width - width % scale]


def imresize(
    image: AnyImage,
    scale: float | None = None,
    *,
    size: tuple[int, int] | None = None,
    edge: Edge = "mirror",
) -> AnyImage:
    """Resize by `scale`, or to `size` (height, width), as MATLAB does with antialiasing.

    Arrays are (H, W) or (H, W, C); uint8 and uint16 are rounded after each dimension and keep their type.
    Float tensors (N, C, H, W) are not rounded, and gradients flow through. `edge` is "mirror" (MATLAB today,
    and the LR files of the EDSR benchmark) or "clamp" (old MATLAB: the LR files of SelfExSR).

    Raises:
        ValueError: neither or both of `scale` and `size` given, or a size below 1.
    """
    tensor = isinstance(image, Tensor)
    rows = image.ndim - 2 if tensor else 0
    old = (image.shape[rows], image.shape[rows + 1])
    new, factors = _target(old, scale, size)
    # MATLAB's order: smallest factor first, rows on a tie
    for axis in sorted((0, 1), key=lambda a: factors[a]):
        index, weight = _taps(old[axis], new[axis], factors[axis], edge)
        resample = _resample_tensor if tensor else _resample_array
        image = resample(image, rows + axis, index, weight)  # type: ignore[arg-type]
    return image.contiguous() if tensor else np.ascontiguousarray(image)  # type: ignore[return-value]


def enlarge(image: Tensor, factor: int) -> Tensor:
    """Enlarge a float tensor (N, C, H, W) by a whole `factor`: equals `imresize`, as one convolution.

    The kernel does not depend on the size, so that networks that contain it can be traced and exported.
    """
    channels = image.shape[1]
    kernel, reach = _phase_kernel(factor)
    padded = _mirror(_mirror(image, 2, reach), 3, reach)
    phases = F.conv2d(padded, kernel.to(image).repeat(channels, 1, 1, 1), groups=channels)
    return F.pixel_shuffle(phases, factor)


def _target(
    old: tuple[int, int], scale: float | None, size: tuple[int, int] | None
) -> tuple[tuple[int, int], tuple[float, float]]:
    if (scale is None) == (size is None):
        raise ValueError(f"imresize takes either scale or size; got scale={scale}, size={size}")
    if size is None:
        assert scale is not None
        # 510 * (1 / 3) may lie a hair above 170
        size = (math.ceil(old[0] * scale - 1e-9), math.ceil(old[1] * scale - 1e-9))
        factors = (float(scale), float(scale))
    else:
        factors = (size[0] / old[0], size[1] / old[1])
    if min(size) < 1 or min(old) < 1:
        raise ValueError(f"imresize cannot make {size[0]}x{size[1]} from {old[0]}x{old[1]}: sizes start at 1")
    return size, factors


def _cubic(x: NDArray) -> NDArray:
    x = np.abs(x)
    near = 1.5 * x**3 - 2.5 * x**2 + 1
    far = -0.5 * x**3 + 2.5 * x**2 - 4 * x + 2
    return near * (x <= 1) + far * ((x > 1) & (x <= 2))


@lru_cache(maxsize=64)
def _taps(old: int, new: int, factor: float, edge: Edge) -> tuple[NDArray, NDArray]:
    """For every output position the input positions it reads and their weights: (new, taps), (new, taps)."""
    shrink = min(factor, 1.0)
    width = 4 / shrink
    centre = np.arange(1, new + 1) / factor + 0.5 * (1 - 1 / factor)
    index = np.floor(centre - width / 2)[:, None] + np.arange(math.ceil(width) + 2)
    weight = shrink * _cubic(shrink * (centre[:, None] - index))
    weight /= weight.sum(1, keepdims=True)
    index = index.astype(np.int64) - 1
    if edge == "mirror":
        index = np.mod(index, 2 * old)
        index = np.where(index < old, index, 2 * old - 1 - index)
    else:
        index = index.clip(0, old - 1)
    used = weight.any(0)
    return np.ascontiguousarray(index[:, used]), np.ascontiguousarray(weight[:, used])


def _resample_array(image: NDArray, axis: int, index: NDArray, weight: NDArray) -> NDArray:
    lines = np.ascontiguousarray(np.moveaxis(image, axis, 0))
    flat = lines.reshape(len(lines), -1)
    integer = np.issubdtype(image.dtype, np.integer)
    result = np.empty((len(index), flat.shape[1]), image.dtype)
    step = max(1, _CHUNK // flat.shape[1])
    for start in range(0, len(index), step):
        part = slice(start, start + step)
        total = weight[part, :1] * flat[index[part, 0]]
        for tap in range(1, index.shape[1]):
            total += weight[part, tap : tap + 1] * flat[index[part, tap]]
        result[part] = _rounded(total, image.dtype) if integer else total
    return np.moveaxis(result.reshape(len(index), *lines.shape[1:]), 0, axis)


def _rounded(values: NDArray, dtype: np.dtype) -> NDArray:
    # MATLAB rounds halves away from zero; negative values are clipped anyway
    return np.floor(values + 0.5).clip(0, np.iinfo(dtype).max)


def _resample_tensor(image: Tensor, dim: int, index: NDArray, weight: NDArray) -> Tensor:
    lines = image.movedim(
        dim, 0
    ).contiguous()  # gathering whole lines is many times faster than single pixels
    places = torch.from_numpy(index).to(image.device)
    weights = torch.from_numpy(weight).to(image)[(...,) + (None,) * (image.ndim - 1)]
    total = lines.index_select(0, places[:, 0]) * weights[:, 0]
    for tap in range(1, index.shape[1]):
        total = total + lines.index_select(0, places[:, tap]) * weights[:, tap]
    return total.movedim(0, dim)


@lru_cache(maxsize=16)
def _phase_kernel(factor: int) -> tuple[Tensor, int]:
    """Kernel (factor**2, 1, k, k) that gives all output phases of one input pixel, and how far it reaches."""
    reach = 3
    old = 2 * reach + 1
    index, weight = _taps(old, old * factor, float(factor), "mirror")
    phases = np.zeros((factor, old))
    centre = slice(reach * factor, (reach + 1) * factor)
    for phase, (places, weights) in enumerate(zip(index[centre], weight[centre])):
        np.add.at(phases[phase], places, weights)
    reach = 2
    phases = phases[:, 1:-1]
    kernel = np.einsum("ak,bl->abkl", phases, phases).reshape(factor**2, 1, 2 * reach + 1, 2 * reach + 1)
    return torch.from_numpy(kernel), reach


def _mirror(image: Tensor, dim: int, reach: int) -> Tensor:
    """Pad by `reach` pixels on both sides, the edge pixel repeated, as "mirror" does; down to one pixel."""
    length = image.shape[dim]
    if length >= reach:
        # one by one, counted from either end: not all exporters know flips, or places that move with the size
        before = (slice(None),) * dim
        head = [image[(*before, slice(place, place + 1))] for place in reversed(range(reach))]
        tail = [image[(*before, slice(-1 - place, -place or None))] for place in range(reach)]
        return torch.cat((*head, image, *tail), dim)
    place = torch.arange(-reach, length + reach, device=image.device) % (2 * length)
    return image.index_select(dim, torch.where(place < length, place, 2 * length - 1 - place))
