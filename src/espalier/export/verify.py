"""Running an exported file in its own runtime and comparing with torch."""

import math
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from espalier.errors import NetworkError
from espalier.export.photograph import part
from espalier.export.standard import Standard
from espalier.export.target import Exported, Request, Target
from espalier.export.trace import standard
from espalier.networks.network import Network

TOLERANCE = 1e-4
"""Largest difference, as a share of the range of the images."""
HALF_TOLERANCE = 2e-2
"""The same in 16 bits, whose numbers are 5e-4 apart just below 1."""
SIZES = ((40, 56), (61, 47))


@dataclass(frozen=True)
class Match:
    """How far the file is from torch on one image."""

    size: tuple[int, int]
    difference: float
    """Largest difference; the range is 1."""
    psnr: float
    """Between the two, in dB; infinite where nothing differs."""


@dataclass(frozen=True)
class Verification:
    """How far an exported file is from torch."""

    matches: tuple[Match, ...]
    tolerance: float
    rounding: float | None = None
    """Where it does not pass: how far torch's own 32 bits are from its 64 bits on these images."""

    @property
    def difference(self) -> float:
        return max(match.difference for match in self.matches)

    @property
    def passed(self) -> bool:
        return self.difference <= self.tolerance  # NaN does not pass

    def to_dict(self) -> dict[str, Any]:
        return {**asdict(self), "passed": self.passed}


def verify(
    target: Target,
    network: Network,
    path: Path,
    exported: Exported,
    request: Request,
    image: Tensor,
) -> Verification:
    """Compare `path` with `network` on parts of `image` (1, 3, H, W) of two sizes, or of its fixed size.

    Raises:
        NetworkError: the runtime cannot load or run the file.
    """
    try:
        run = target.reader(path)
        reference, images = standard(network), _images(image, network, exported)
        matches = tuple(_match(run, reference, x) for x in images)
    except NetworkError:
        raise
    except Exception as error:  # runtimes raise what they like
        reason = " ".join(str(error).split())[:300]
        raise NetworkError(f"{path} was written, but does not run: {reason}") from error
    found = Verification(matches, HALF_TOLERANCE if request.half else TOLERANCE)
    return found if found.passed else replace(found, rounding=_rounding(reference, images))


def _images(image: Tensor, network: Network, exported: Exported) -> Sequence[Tensor]:
    """Two sizes; of a file of one size, two places of the image."""
    if exported.size is not None:
        first = part(image, exported.size)
        return first, first.flip(2, 3)
    least = network.adapter.minimum
    return [part(image, (max(height, least), max(width, least))) for height, width in SIZES]


def _match(run: Callable[[Tensor], Tensor], reference: Callable[[Tensor], Tensor], x: Tensor) -> Match:
    with torch.no_grad():
        expected = reference(x.clone())
    found = run(x)
    size = (x.shape[2], x.shape[3])
    if found.shape != expected.shape:
        raise NetworkError(
            f"the file gives {tuple(found.shape)} for {tuple(x.shape)}, torch {tuple(expected.shape)}"
        )
    gap = (found.double() - expected.double()).abs()
    mean = float(gap.square().mean())
    psnr = math.inf if mean == 0 else -10 * math.log10(mean) if math.isfinite(mean) else -math.inf
    return Match(size, float(gap.max()), psnr)


def _rounding(reference: Standard, images: Sequence[Tensor]) -> float | None:
    """Large where a network magnifies the last bit of its numbers, which no two runtimes share."""
    try:
        with torch.no_grad():
            narrow = [reference(x.clone()).double() for x in images]
            wide = [reference.double()(x.double()) for x in images]
    except RuntimeError:  # foreign code may make 32-bit tensors of its own
        return None
    return max(float((a - b).abs().max()) for a, b in zip(narrow, wide))
