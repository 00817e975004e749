"""What a target is asked for, what it gives, and what its file must define."""

import importlib.util
import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from torch import Tensor

from espalier import __version__
from espalier.errors import MissingExtraError
from espalier.networks.network import Network

KEY = "espalier"
"""Under this name the metadata stands in an exported file."""


@dataclass(frozen=True)
class Request:
    """What is wanted of the file."""

    fixed: tuple[int, int] | None = None
    """Height and width of the input, if only one size is wanted; else any size, where the network allows it."""
    half: bool = False
    """Weights, input and output in 16 bits."""


@dataclass(frozen=True)
class Exported:
    """What was written."""

    size: tuple[int, int] | None
    """Height and width that the input must have; None for any."""
    note: str = ""
    """What a person should know: why the size is fixed."""


class Target(Protocol):
    """The functions and names of a target's file."""

    SUFFIX: str
    """Of the file, with the dot."""
    PACKAGES: tuple[str, ...]
    """What it needs besides torch; the extra of the same name as the target installs them."""

    def write(self, network: Network, path: Path, request: Request) -> Exported:
        """Write `network` to `path`; runs in a process of its own.

        Raises:
            NetworkError: this network cannot be exported.
        """
        ...

    def reader(self, path: Path) -> Callable[[Tensor], Tensor]:
        """The file in its own runtime: RGB (N, 3, H, W) float32 in 0..1 to the enlarged RGB."""
        ...


def need(target: str, packages: tuple[str, ...]) -> None:
    """Raise MissingExtraError for the first package that is not installed."""
    for package in packages:
        if importlib.util.find_spec(package) is None:
            raise MissingExtraError(package, target, f"the target {target}")


def metadata(network: Network, size: tuple[int, int] | None, half: bool) -> str:
    """JSON: what the file is and how it is fed; the channels that every cut has left."""
    told: dict[str, Any] = {
        "espalier": __version__,
        "name": network.name,
        "scale": network.scale,
        "range": 1.0,
        "layout": "NCHW RGB",
        "size": None if size is None else list(size),
        "half": half,
        "minimum": network.adapter.minimum,
        "plans": [
            {"channels": {c.group: len(c.kept) for c in plan.choices}, "notes": plan.notes}
            for plan in network.plans
        ],
    }
    return json.dumps(told)
