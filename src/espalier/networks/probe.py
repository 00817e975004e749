"""Learning what a network makes of images, and which sizes it takes, by running it on small ones."""

import dataclasses
import warnings

import torch
from torch import nn

from espalier.errors import NetworkError
from espalier.networks.network import Adapter

ODD = (37, 41)
"""A size that divides by nothing: a network that takes it takes any."""
MULTIPLES = (2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64, 128)


def probe(body: nn.Module, adapter: Adapter, name: str) -> tuple[Adapter, int]:
    """The adapter with the sizes that `body` takes, and the scale that it enlarges by.

    Raises:
        NetworkError: it runs on no size, or its output is no whole multiple of the input.
    """
    failure: Exception | None = None
    for candidate, size in _candidates(adapter):
        try:
            return candidate, _scale_at(body, size, adapter, name)
        except Exception as error:  # whatever the network's own code finds wrong with the size
            failure = failure if isinstance(failure, NetworkError) else error
    if isinstance(failure, NetworkError):
        raise failure
    raise NetworkError(
        f"{name} runs on RGB images of no size that was tried (37x41, multiples of 2 to 128, squares): "
        f"{type(failure).__name__}: {failure}"
    ) from failure


def _candidates(adapter: Adapter) -> list[tuple[Adapter, tuple[int, int]]]:
    """What may be true of the network, the mildest first, each with a size that would show it."""
    height, width = (max(side, adapter.minimum) for side in ODD)
    found = [(adapter, (height, width))] if adapter.multiple_of == 1 and not adapter.square else []
    for multiple in sorted({adapter.multiple_of, *MULTIPLES}):
        if multiple % adapter.multiple_of == 0 and not adapter.square:
            times = max(2, -(-max(16, adapter.minimum) // multiple))
            size = (times * multiple, (times + 1) * multiple)
            found.append((dataclasses.replace(adapter, multiple_of=multiple), size))
    for side in sorted({*MULTIPLES, max(16, adapter.minimum), 256}):
        if side >= max(16, adapter.minimum) and side % adapter.multiple_of == 0:
            square = dataclasses.replace(adapter, square=True, minimum=side)
            found.append((square, (side, side)))
    return found


def _scale_at(body: nn.Module, size: tuple[int, int], adapter: Adapter, name: str) -> int:
    was_training = body.training
    body.eval()
    try:
        with torch.no_grad(), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            out = body(torch.full((1, 1 if adapter.luma else 3, *size), 0.5 * adapter.range))
    finally:
        body.train(was_training)
    out = out[0] if isinstance(out, tuple | list) else out
    if not isinstance(out, torch.Tensor) or out.ndim != 4 or out.shape[1] != (1 if adapter.luma else 3):
        shape = tuple(out.shape) if isinstance(out, torch.Tensor) else type(out).__name__
        raise NetworkError(f"{name} makes {shape} of an image; expected (1, 3, height, width)")
    scale = out.shape[-2] // size[0]
    if scale < 1 or out.shape[-2:] != (size[0] * scale, size[1] * scale):
        raise NetworkError(
            f"{name} makes {out.shape[-2]}x{out.shape[-1]} of a {size[0]}x{size[1]} image; expected a whole multiple"
        )
    return scale
