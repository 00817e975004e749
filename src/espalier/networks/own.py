"""Our own architectures: found by file name, built from keyword arguments, recognised from tensors."""

import importlib
import inspect
import pkgutil
from collections.abc import Mapping
from types import ModuleType
from typing import Any

from torch import Tensor, nn

from espalier.errors import NetworkError
from espalier.networks import architectures
from espalier.networks.arguments import check_arguments, did_you_mean
from espalier.networks.network import Adapter
from espalier.networks.recognise import Recognised


def names() -> list[str]:
    """All architectures of our own, in alphabetical order."""
    return sorted(module.name for module in pkgutil.iter_modules(architectures.__path__))


def module(name: str) -> ModuleType:
    """The file of one architecture.

    Raises:
        NetworkError: there is none of this name.
    """
    if name not in names():
        raise NetworkError(
            f"no network is called {name!r}{did_you_mean(name, names())}; there are {', '.join(names())}"
        )
    return importlib.import_module(f"{architectures.__name__}.{name}")


def build(name: str, arguments: Mapping[str, Any]) -> nn.Module:
    """A network with fresh weights, in evaluation mode."""
    network = module(name).NETWORK
    check_arguments(name, network, arguments)
    try:
        return network(**arguments).eval()
    except (TypeError, ValueError, RuntimeError) as error:
        raise NetworkError(f"{name} cannot be built with {dict(arguments)}: {error}") from error


def adapter(name: str, arguments: Mapping[str, Any]) -> Adapter:
    """How the architecture's own images differ from RGB in 0..1."""
    make = getattr(module(name), "adapter", None)
    return make(arguments) if make else Adapter()


def scale(name: str, arguments: Mapping[str, Any]) -> int:
    """The scale that `arguments` ask for, or the architecture's default."""
    default = inspect.signature(module(name).NETWORK).parameters["scale"].default
    return int(arguments.get("scale", default))


def recognise(state: Mapping[str, Tensor], scale: int | None = None) -> tuple[str, Recognised] | None:
    """The first architecture that knows these tensors, its arguments, and the tensors under its names.

    `scale` decides only where the tensors hold several scales, or leave it open.
    """
    for name in names():
        recognised = module(name).recognise(state, scale)
        if recognised is not None:
            return name, recognised
    return None
