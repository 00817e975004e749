"""One convention for every SR network: RGB in 0..1 in, RGB in 0..1 out, `scale` times as high and wide."""

from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn


@dataclass(frozen=True)
class Base:
    """How the unpruned network is built again: no code, no pickle, only names and JSON-able arguments."""

    kind: str
    """"own" (a file of `networks/architectures`), "spandrel" (a class of spandrel) or "factory" (module:function)."""
    name: str
    arguments: dict[str, Any] = field(default_factory=dict)
    prepared: bool = False
    """Whether re-parameterised branches and weight norm were folded after building."""


@dataclass(frozen=True)
class Adapter:
    """What the network's own code wants, where that differs from the common convention."""

    range: float = 1.0
    """Largest value of the network's own images: 1 or 255."""
    luma: bool = False
    """The network sees and gives BT.601 Y only; chroma is enlarged bicubically."""
    enlarged: bool = False
    """The network is fed a bicubic enlargement and keeps its size."""
    multiple_of: int = 1
    """Height and width must divide by this; inputs are padded by reflection and the result cropped."""
    minimum: int = 1
