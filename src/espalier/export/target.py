"""What a target is asked for, what it gives, and what its file must define."""

import importlib.util
import json
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from torch import Tensor

from espalier import __version__
from espalier.errors import MissingExtraError, NetworkError
from espalier.files import replacing
from espalier.networks.network import Network

KEY = "espalier"
"""Under this name the metadata stands in an exported file."""


@dataclass(frozen=True)
class Request:
    """What is wanted of the file."""

    fixed: tuple[int, int] | None = None
    """Height and width of the input, if only one size is wanted; else any size, where the network allows it."""
    half: bool = False
    """Weights in 16 bits; input and output too, where the format lets the file say so."""
    split_prelu: bool = False
    """PReLUs as ReLUs and products by channel, which onnxruntime is faster with on a processor."""


@dataclass(frozen=True)
class Exported:
    """What was written."""

    size: tuple[int, int] | None
    """Height and width that the input must have; None for any."""
    note: str = ""
    """What a person should know: why the size is fixed."""


@dataclass(frozen=True)
class Loaded:
    """An exported file in its own runtime."""

    run: Callable[[Tensor], Tensor]
    """RGB (N, 3, H, W) float32 in 0..1 to the enlarged RGB.

    Raises:
        NetworkError: the file does not take this size.
    """
    shape: tuple[int | None, ...] = (None, 3, None, None)
    """Of the input; None where it is open."""
    metadata: Mapping[str, Any] = field(default_factory=dict)
    """What `metadata` wrote; empty for files of others."""


class Target(Protocol):
    """The functions and names of a target's file."""

    SUFFIX: str
    """Of the file, with the dot."""
    BESIDE: tuple[str, ...]
    """Endings of further files that belong to it, in place of its own."""
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


def named(path: Path, suffix: str) -> None:
    """Raise NetworkError where the runtime would not know the file by its last ending."""
    if not suffix.endswith(path.suffix or "/"):
        raise NetworkError(f"--out is {path.name}: its runtime wants a name that ends in {suffix}")


def put(written: Path, path: Path) -> None:
    """Copy what an exporter wrote to its place, all or nothing.

    Raises:
        OutputError: it cannot be written.
    """
    with replacing(path) as temporary:
        shutil.copyfile(written, temporary)


def words(error: Exception) -> str:
    """What a runtime says, on one line."""
    return " ".join(str(error).split())[:200]


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
