"""A person's own network: "package.module:function" names code that returns it, or the module itself is given."""

import contextlib
import importlib
import os
import sys
from collections.abc import Iterator
from typing import Any

import torch
from torch import nn

from espalier.errors import NetworkError
from espalier.networks.arguments import did_you_mean
from espalier.networks.network import OBJECT, Adapter, Base, Network, copy_of, sizes
from espalier.networks.probe import probe


def construct(path: str, *, scale: int | None = None) -> Network:
    """The network that the function or class `path` makes when called without arguments.

    Attributes of the returned module that are used where present are those of `Adapter` (`range`, `luma`,
    `enlarged`, `multiple_of`, `minimum`, `square`), and `scale` where it is fed an enlargement. Otherwise it
    takes RGB in 0..1; its scale, and the sizes that it takes, are measured.
    """
    return _network(build(path), Base("factory", path), scale)


def adopt(module: nn.Module, *, scale: int | None = None) -> Network:
    """A network of a copy of `module`, on the CPU, as `construct` makes one.

    Where its class makes the same sizes when it is called without arguments, files of the network will name it;
    otherwise the base is of kind "object", which can do everything but be saved as a native file.
    """
    body = _plain(copy_of(module).cpu(), type(module).__name__).eval()
    path = f"{type(body).__module__}:{type(body).__qualname__}"
    return _network(body, Base("factory" if _makes(path, body) else OBJECT, path), scale)


def _makes(path: str, body: nn.Module) -> bool:
    """Whether calling `path` makes a network of the sizes of `body`, in any process."""
    if path.startswith("__main__:"):
        return False
    try:
        with torch.random.fork_rng(devices=[]):
            made = build(path)
    except NetworkError:
        return False
    return sizes(made) == sizes(body)


def _network(body: nn.Module, base: Base, scale: int | None) -> Network:
    adapter, found = probe(body, _adapter(body), base.name)
    if adapter.enlarged:
        stated = scale or getattr(body, "scale", None)
        if not isinstance(stated, int):
            raise NetworkError(
                f"{base.name} is fed an enlargement, so its scale cannot be measured; say scale=..."
            )
        found = stated
    return Network(body, name=base.name.partition(":")[2], scale=found, base=base, adapter=adapter)


def build(path: str) -> nn.Module:
    """Import and call `path`, in evaluation mode.

    Raises:
        NetworkError: it cannot be imported, is of Python's own library, fails, or returns no module or a scripted one.
    """
    module, _, name = path.partition(":")
    if module.split(".")[0] in sys.stdlib_module_names:
        # a native file names its factory: never let it name os:abort
        raise NetworkError(f"{path} is part of Python itself and makes no network")
    make = _find(module, name)
    try:
        body = make()
    except Exception as error:  # a person's own code may raise anything
        raise NetworkError(f"{path}() failed with {type(error).__name__}: {error}") from error
    if not isinstance(body, nn.Module):
        raise NetworkError(f"{path}() returned {type(body).__name__}; expected a torch.nn.Module")
    return _plain(body, path).eval()


def _plain(body: nn.Module, path: str) -> nn.Module:
    """Out of its wrapper, in float32, and able to learn where all of it was frozen for running."""
    if isinstance(body, nn.DataParallel | nn.parallel.DistributedDataParallel):
        body = body.module
    if isinstance(body, torch.jit.ScriptModule):
        raise NetworkError(
            f"{path} is a scripted network, whose code cannot be followed; give the module it was made of"
        )
    numbers = [p for p in body.parameters() if p.is_floating_point() or p.is_complex()]
    if any(p.is_floating_point() and p.dtype != torch.float32 for p in numbers):
        body.float()
    if not any(p.requires_grad for p in numbers):
        for parameter in numbers:
            parameter.requires_grad_()
    return body


def _find(module: str, name: str) -> Any:
    try:
        with _working_folder_importable():
            imported = importlib.import_module(module)
    except ModuleNotFoundError as error:
        raise NetworkError(
            f"cannot import {module}: {error}; run from the folder that holds it, or install it"
        ) from error
    except Exception as error:
        raise NetworkError(f"importing {module} failed with {type(error).__name__}: {error}") from error
    if not callable(getattr(imported, name, None)):
        known = [
            word for word, value in vars(imported).items() if callable(value) and not word.startswith("_")
        ]
        raise NetworkError(f"{module} has no function or class {name!r}{did_you_mean(name, known)}")
    return getattr(imported, name)


@contextlib.contextmanager
def _working_folder_importable() -> Iterator[None]:
    folder = os.getcwd()
    if folder in sys.path or "" in sys.path:
        yield
        return
    sys.path.append(folder)
    try:
        yield
    finally:
        sys.path.remove(folder)


def _adapter(body: nn.Module) -> Adapter:
    """What the module says of itself; attributes that only share a name are passed over."""
    plain = vars(Adapter())
    stated: dict[str, Any] = {name: getattr(body, name, default) for name, default in plain.items()}
    if type(stated["range"]) is int:
        stated["range"] = float(stated["range"])
    return Adapter(**{name: value for name, value in stated.items() if type(value) is type(plain[name])})
