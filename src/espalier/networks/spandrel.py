"""The one place where spandrel is imported: its classes by name, and its recognition of checkpoints.

Beside a CPU build of torch, torchvision (which spandrel needs for two lines that no SR network uses) stops at
import, because two operators of its compiled part are missing. Once they are declared it goes on.
"""

import importlib
import inspect
import json
import warnings
from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any

import torch
from torch import Tensor, nn

from espalier.errors import NetworkError
from espalier.networks.arguments import check_arguments, did_you_mean
from espalier.networks.network import Adapter, Base, Network
from espalier.networks.probe import probe

PACKAGE = "spandrel.architectures"
_declared: list[torch.library.Library] = []
"""Kept alive: with the object the declarations would go."""


@cache
def package() -> ModuleType:
    """spandrel, imported."""
    try:
        return importlib.import_module("spandrel")
    except RuntimeError as error:
        if "torchvision::nms" not in str(error):
            raise
    library = torch.library.Library("torchvision", "DEF")
    _declared.append(library)
    for name in ("nms", "qnms"):
        library.define(f"{name}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
    return importlib.import_module("spandrel")


@cache
def families() -> dict[str, list[type[nn.Module]]]:
    """The network classes that each of spandrel's architectures exports."""
    result: dict[str, list[type[nn.Module]]] = {}
    for support in package().MAIN_REGISTRY.architectures():
        name = type(support.architecture).__module__.rsplit(".", 1)[-1]
        module = importlib.import_module(f"{PACKAGE}.{name}")
        result[name] = [
            getattr(module, word) for word in module.__all__ if _is_network(getattr(module, word))
        ]
    return dict(sorted(result.items()))


def _is_network(value: object) -> bool:
    return isinstance(value, type) and issubclass(value, nn.Module)


def find_class(name: str) -> type[nn.Module]:
    """A class by name: an architecture's ("SwinIR"), one among several ("RealPLKSR"), or "PLKSR.RealPLKSR".

    Raises:
        NetworkError: there is none, or the architecture has several.
    """
    family, _, inner = name.rpartition(".")
    if family:
        return _class_in(family, inner)
    exported = {cls.__name__: cls for classes in families().values() for cls in classes}
    if name in exported:
        return exported[name]
    if name in families():
        classes = families()[name]
        if len(classes) == 1:
            return classes[0]
        choices = ", ".join(f"spandrel.{cls.__name__}" for cls in classes)
        raise NetworkError(f"spandrel's {name} has several networks: say one of {choices}")
    known = sorted({*families(), *exported})
    raise NetworkError(
        f"spandrel has no network {name!r}{did_you_mean(name, known)}; there are {', '.join(known)}"
    )


def _class_in(family: str, name: str) -> type[nn.Module]:
    """A class of one architecture by its own name, whether exported or not."""
    if family not in families():
        raise NetworkError(
            f"spandrel has no architecture {family!r}{did_you_mean(family, families())}; "
            f"there are {', '.join(families())}"
        )
    inside = {cls.__name__: cls for cls in families()[family]}
    inside |= {
        n: v for cls in families()[family] for n, v in vars(inspect.getmodule(cls)).items() if _is_network(v)
    }
    if name not in inside:
        raise NetworkError(f"spandrel's {family} has no class {name!r}{did_you_mean(name, inside)}")
    return inside[name]


def class_path(cls: type[nn.Module]) -> str:
    """The text "module:class" that a native file stores."""
    return f"{cls.__module__}:{cls.__qualname__}"


def construct(name: str, arguments: Mapping[str, Any], *, scale: int | None = None) -> Network:
    """The network of a reference "spandrel.NAME(...)"; `scale` fills the argument of that meaning."""
    cls = find_class(name)
    filled = dict(arguments)
    if scale is not None:
        takes = inspect.signature(cls).parameters
        word = next(
            (w for w in ("scale", "upscale", "upscaling_factor", "upscale_factor") if w in takes), None
        )
        if word is not None:
            filled.setdefault(word, scale)
    check_arguments(f"spandrel.{name}", cls, filled)
    body = build(class_path(cls), filled)
    adapter, found = probe(body, _adapter_of(body), f"spandrel.{name}")
    base = Base("spandrel", class_path(cls), filled)
    return Network(body, name=_called(cls), scale=found, base=base, adapter=adapter)


def _called(cls: type[nn.Module]) -> str:
    """The architecture's name, or the class's where it has several."""
    family = cls.__module__.removeprefix(f"{PACKAGE}.").split(".")[0]
    return family if families().get(family) == [cls] else cls.__name__


def build(path: str, arguments: Mapping[str, Any]) -> nn.Module:
    """A class of spandrel with fresh weights, in evaluation mode.

    Raises:
        NetworkError: `path` is not within spandrel, or the arguments do not fit.
    """
    cls = class_at(path)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return cls(**arguments).eval()
    except Exception as error:  # whatever a third party's constructor finds wrong
        raise NetworkError(f"{cls.__name__} cannot be built with {dict(arguments)}: {error}") from error


def class_at(path: str) -> type[nn.Module]:
    """The class that `class_path` wrote as text.

    Raises:
        NetworkError: it is not within spandrel, or the installed one lacks it.
    """
    package()
    module, _, name = path.partition(":")
    if not module.startswith(f"{PACKAGE}."):
        raise NetworkError(f"{path!r} is no class of {PACKAGE}")
    try:
        return getattr(importlib.import_module(module), name)
    except (ImportError, AttributeError) as error:
        raise NetworkError(
            f"the installed spandrel {package().__version__} has no {path}; "
            "install the version that the file was made with"
        ) from error


def recognise(state: Mapping[str, Tensor]) -> Network | None:
    """The network that spandrel makes of a checkpoint's tensors; None where it knows none.

    Raises:
        NetworkError: it is known, but no super-resolution network for whole images.
    """
    return _recognised(lambda: _descriptor(state))


def read(path: Path) -> Network | None:
    """The network that spandrel makes of a checkpoint file, read by its own code; None where it knows none.

    Raises:
        NetworkError: it is known, but no super-resolution network for whole images.
    """
    return _recognised(lambda: package().ModelLoader(device="cpu").load_from_file(path))


def _recognised(describe: Callable[[], Any]) -> Network | None:
    api = package()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            descriptor = describe()
    except api.UnsupportedModelError:
        return None
    except Exception as error:  # spandrel's detection met tensors it did not expect
        raise NetworkError(
            f"spandrel recognises these tensors but cannot load them: {_short(error)}"
        ) from error
    name = descriptor.architecture.id
    if not isinstance(descriptor, api.ImageModelDescriptor) or descriptor.purpose == "FaceSR":
        raise NetworkError(
            f"this is a {name} network, which does not enlarge whole images; Espalier cannot use it"
        )
    body = descriptor.model.eval()
    base = Base("spandrel", class_path(type(body)), _hyperparameters(body))
    return Network(body, name=name, scale=descriptor.scale, base=base, adapter=_adapter(descriptor))


def _hyperparameters(body: nn.Module) -> dict[str, Any]:
    """What the network's class was called with; defaults that are no plain values (classes) are left to it."""
    defaults = {p.name: p.default for p in inspect.signature(type(body)).parameters.values()}
    stored: dict[str, Any] = getattr(body, "hyperparameters", {})
    plain = {
        name: value for name, value in stored.items() if _plain(value) or value is not defaults.get(name)
    }
    odd = next((name for name, value in plain.items() if not _plain(value)), None)
    if odd is not None:
        raise NetworkError(
            f"{type(body).__name__} was built with an argument that cannot be written down: {odd}={plain[odd]!r}"
        )
    return plain


def _plain(value: object) -> bool:
    try:
        json.dumps(value)
    except TypeError:
        return False
    return True


def _adapter_of(body: nn.Module) -> Adapter:
    """Ask spandrel's own loader about sizes and channels; a plain RGB network where it cannot tell."""
    try:
        descriptor = _descriptor(body.state_dict())
    except Exception:  # fresh weights of unusual sizes are not always recognised
        return Adapter(range=_range(body))
    return _adapter(descriptor) if type(descriptor.model) is type(body) else Adapter(range=_range(body))


def _descriptor(state: Mapping[str, Tensor]) -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return package().ModelLoader(device="cpu").load_from_state_dict(dict(state))


def _range(body: nn.Module) -> float:
    """IPT alone of all leaves its range to the caller."""
    return float(getattr(body, "rgb_range", 1.0)) if type(body).__name__ == "IPT" else 1.0


def _adapter(descriptor: Any) -> Adapter:
    colours = {descriptor.input_channels, descriptor.output_channels}
    if colours not in ({3}, {1}):
        raise NetworkError(
            f"{descriptor.architecture.id} takes {descriptor.input_channels} channels and gives "
            f"{descriptor.output_channels}; Espalier works on networks of 3 (RGB) or 1 (Y)"
        )
    needs = descriptor.size_requirements
    return Adapter(
        range=_range(descriptor.model),
        luma=colours == {1},
        multiple_of=needs.multiple_of,
        minimum=max(1, needs.minimum),
        square=needs.square,
    )


def _short(error: Exception) -> str:
    return " ".join(str(error).split())[:300] or type(error).__name__
