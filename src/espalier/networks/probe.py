"""Learning what a network makes of images, and which sizes and memory layouts it takes, by running it on small ones."""

import dataclasses
import warnings
from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor, nn

from espalier.errors import NetworkError
from espalier.networks.network import Adapter

MULTIPLES = (1, 2, 4, 8, 12, 16, 24, 32, 64)
SMALLEST = 16
Shape = tuple[int, int]


def probe(body: nn.Module, adapter: Adapter, name: str) -> tuple[Adapter, int]:
    """The adapter with the sizes and the memory layout that `body` takes, and the scale that it enlarges by.

    Raises:
        NetworkError: it runs on no size, or its output is no whole multiple of the input.
    """
    failure: Exception | None = None
    for candidate, shapes in _candidates(adapter):
        try:
            scales = {_scale_at(body, shape, adapter, name) for shape in shapes}
        except Exception as error:  # whatever the network's own code finds wrong with the size
            failure = failure if isinstance(failure, NetworkError) else error
        else:
            contiguous = not _takes_channels_last(body, shapes[0], candidate)
            return dataclasses.replace(candidate, contiguous=contiguous), scales.pop()
    if isinstance(failure, NetworkError):
        raise failure
    raise NetworkError(
        f"{name} runs on RGB images of no size that was tried (37x41, multiples of 2 to 64, squares): "
        f"{type(failure).__name__}: {failure}"
    ) from failure


def _candidates(adapter: Adapter) -> Iterator[tuple[Adapter, list[Shape]]]:
    """What may be true of the network, the mildest first, each with the shapes that would show it."""
    least = max(SMALLEST, adapter.minimum)
    multiples = [m for m in sorted({adapter.multiple_of, *MULTIPLES}) if m % adapter.multiple_of == 0]
    for multiple in multiples:
        first = _odd_multiple(multiple, least)
        far = first + 4 * multiple
        if not adapter.square:
            candidate = dataclasses.replace(adapter, multiple_of=multiple)
            yield candidate, [(first, first + multiple), (far, first)]
    for multiple in multiples:
        first = _odd_multiple(multiple, least)
        candidate = dataclasses.replace(adapter, multiple_of=multiple, square=True)
        yield candidate, [(side, side) for side in (first, first + multiple)]
    for side in sorted({*MULTIPLES, 256, least}):
        if side >= least:
            yield dataclasses.replace(adapter, square=True, minimum=side), [(side, side)]


def _odd_multiple(multiple: int, least: int) -> int:
    """An odd multiple, which no larger power of two divides, of at least `least`, 37 for 1."""
    if multiple == 1:
        return max(37, least)
    times = max(3, -(-least // multiple))
    return multiple * (times + 1 - times % 2)


def _takes_channels_last(body: nn.Module, size: Shape, adapter: Adapter) -> bool:
    """Whether it takes batches laid out pixel by pixel, or none at all; views of a single image may work."""
    batch = _grey(2, size, adapter)
    return _runs(body, batch.contiguous(memory_format=torch.channels_last)) or not _runs(body, batch)


def _runs(body: nn.Module, x: Tensor) -> bool:
    try:
        _run(body, x)
    except Exception:  # whatever its own code finds wrong
        return False
    return True


def _grey(count: int, size: Shape, adapter: Adapter) -> Tensor:
    return torch.full((count, 1 if adapter.luma else 3, *size), 0.5 * adapter.range)


def _run(body: nn.Module, x: Tensor) -> Any:
    was_training = body.training
    body.eval()
    try:
        with torch.no_grad(), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return body(x)
    finally:
        body.train(was_training)


def _scale_at(body: nn.Module, size: Shape, adapter: Adapter, name: str) -> int:
    out = _run(body, _grey(1, size, adapter))
    out = out[0] if isinstance(out, tuple | list) else out
    if not isinstance(out, torch.Tensor) or out.ndim != 4 or out.shape[1] != (1 if adapter.luma else 3):
        shape = tuple(out.shape) if isinstance(out, torch.Tensor) else type(out).__name__
        raise NetworkError(f"{name} makes {shape} of an image; expected (1, 3, height, width)")
    scale = out.shape[-2] // size[0]
    if scale < 1 or out.shape[-2:] != (size[0] * scale, size[1] * scale):
        raise NetworkError(
            f"{name} makes {out.shape[-2]}x{out.shape[-1]} of a {size[0]}x{size[1]} image; "
            "expected a whole multiple"
        )
    return scale
