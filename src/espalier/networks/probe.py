"""Learning a network's scale by running it once on a small input."""

import torch
from torch import nn

from espalier.errors import NetworkError
from espalier.networks.network import Adapter

SIZES = (24, 32, 48, 64, 128, 256)


def find_scale(body: nn.Module, adapter: Adapter, name: str) -> int:
    """How many times larger the output is; tried on growing inputs, as some networks need a certain size.

    Raises:
        NetworkError: it runs on none of them, or the output is no whole multiple of the input.
    """
    failure: Exception | None = None
    for size in sorted({*SIZES, adapter.minimum}):
        if size % adapter.multiple_of or size < adapter.minimum:
            continue
        try:
            return _scale_at(body, size, adapter, name)
        except NetworkError:
            raise
        except Exception as error:  # whatever the network's own code finds wrong with the size
            failure = error
    raise NetworkError(f"{name} does not run on RGB images of {SIZES[0]} to {SIZES[-1]} pixels: {failure}")


def _scale_at(body: nn.Module, size: int, adapter: Adapter, name: str) -> int:
    was_training = body.training
    body.eval()
    try:
        with torch.no_grad():
            out = body(torch.full((1, 1 if adapter.luma else 3, size, size), 0.5 * adapter.range))
    finally:
        body.train(was_training)
    out = out[0] if isinstance(out, tuple | list) else out
    ratios = {out.shape[-2] / size, out.shape[-1] / size}
    if len(ratios) != 1 or not next(iter(ratios)).is_integer() or next(iter(ratios)) < 1:
        raise NetworkError(f"{name} makes {tuple(out.shape)} of a {size}x{size} image; expected a whole multiple of it")
    return int(ratios.pop())
