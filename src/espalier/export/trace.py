"""torch.export of a network: any height, width and batch where the network allows it, else one size."""

import contextlib
import copy
import math
import warnings
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor
from torch.export import Dim, ExportedProgram

from espalier.errors import NetworkError
from espalier.export.rectifiers import split_prelus
from espalier.export.standard import Standard
from espalier.export.target import Exported, Request
from espalier.networks.network import Network

OPEN = (72, 88)
"""A size to trace with: unequal, and no square or window that networks are built for."""
OTHERS = ((33, 50), (64, 61))
"""Sizes that what was traced must take, too; 64 is what many transformers are built for."""
ROUTED = ("MoELayer",)
"""Layers that at rest run only the experts that the image asks for, which is a branch on numbers; the way they are
trained runs all and multiplies the others by zero."""


def standard(network: Network, half: bool = False) -> Standard:
    """A copy on the CPU in the convention of exported files."""
    like = torch.float16 if half else torch.float32
    module = Standard(copy.deepcopy(network).to("cpu", like)).eval()
    for layer in module.modules():
        if type(layer).__name__ in ROUTED:
            layer.training = True
    return module


def program(network: Network, request: Request) -> tuple[ExportedProgram, Exported]:
    """Trace `network`; where its size cannot be left open, it is fixed, and the note says why.

    Raises:
        NetworkError: it cannot be traced at all.
    """
    if request.split_prelu:
        network = split_prelus(network)
    module = standard(network, request.half)
    if request.fixed is not None:
        return _fixed(module, request.fixed, request.half), Exported(request.fixed)
    try:
        windowed = _windowed(network, request.half)
        if windowed is not None:
            with contextlib.suppress(Exception):
                return _open(windowed, module, request.half)
        return _open(module, module, request.half)
    except Exception as error:  # whatever torch's tracer meets in foreign code
        size = network.adapter.fitting(*OPEN)
        note = f"its size could not be left open ({_first_line(error)})"
        return _fixed(module, size, request.half), Exported(size, note)


def _windowed(network: Network, half: bool) -> Standard | None:
    """Padded to whole windows beforehand, since how a network pads to them itself depends on the size.

    Masks that are made for one size are made anew for every size. None where there are no windows.
    """
    sizes = [getattr(layer, "window_size", None) for layer in network.body.modules()]
    step = math.lcm(network.adapter.multiple_of, *(size for size in sizes if isinstance(size, int) and size))
    if step == network.adapter.multiple_of and not any(sizes):
        return None
    module = standard(network, half)
    module.network.adapter = replace(network.adapter, multiple_of=step)
    for layer in module.modules():
        if hasattr(layer, "input_resolution"):
            layer.input_resolution = None  # type: ignore[assignment]
    return module


def _open(module: Standard, reference: Standard, half: bool) -> tuple[ExportedProgram, Exported]:
    adapter = module.network.adapter
    if adapter.square:
        raise NetworkError("height and width must be equal")
    height, width = adapter.fitting(*OPEN)
    # DYNAMIC, since AUTO silently fixes what it cannot leave open; a batch of 1 would be taken for a constant
    edges = {2: Dim.DYNAMIC, 3: Dim.DYNAMIC}
    try:
        traced = _traced(module, _example(2, height, width, half), ({0: Dim.DYNAMIC, **edges},))
        _compare(traced, reference, half)
        return traced, Exported(None)
    except Exception:
        traced = _traced(module, _example(1, height, width, half), (edges,))
        _compare(traced, reference, half)
        return traced, Exported(None, "it takes one image at a time")


def _compare(traced: ExportedProgram, reference: Standard, half: bool) -> None:
    """Fail where tracing has quietly fixed more than it tells."""
    for size in OTHERS:
        x = _example(1, *size, half)
        with torch.no_grad():
            expected, found = reference(x.clone()), traced.module()(x)
        scale = float(expected.abs().max())
        if not bool((found - expected).abs().max() <= (2e-2 if half else 1e-3) * scale):
            raise NetworkError("at another size it differs from torch")


def _fixed(module: Standard, size: tuple[int, int], half: bool) -> ExportedProgram:
    try:
        return _traced(module, _example(1, *size, half), None)
    except Exception as error:
        name = module.network.name
        raise NetworkError(f"{name} cannot be traced by torch.export: {_first_line(error)}") from error


def _traced(module: Standard, x: Tensor, shapes: tuple[dict[int, Any], ...] | None) -> ExportedProgram:
    with warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter("ignore")
        module(x.clone())  # what is made once and kept must not be made of the tracer's tensors
        return torch.export.export(module, (x,), dynamic_shapes=shapes)


def _example(batch: int, height: int, width: int, half: bool) -> Tensor:
    x = torch.rand(batch, 3, height, width, generator=torch.Generator().manual_seed(0))
    return x.half() if half else x


def _first_line(error: Exception) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return f"{type(error).__name__}: {lines[0][:200]}" if lines else type(error).__name__
