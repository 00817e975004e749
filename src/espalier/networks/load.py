"""One door for every network: a file, a constructor reference, or a person's own code."""

import copy
import re
from collections.abc import Mapping
from pathlib import Path

from torch import Tensor, nn

from espalier.errors import NetworkError
from espalier.networks import factory, file, own, spandrel
from espalier.networks.arguments import did_you_mean
from espalier.networks.checkpoint import SUFFIXES, read_safetensors, read_state, strip
from espalier.networks.network import Base, Network
from espalier.networks.reference import looks_like_call, parse


def load(reference: str | Path | nn.Module, *, scale: int | None = None) -> Network:
    """Load a network, in evaluation mode on the CPU.

    `reference` is a checkpoint file (its architecture and sizes are recognised from its tensors), a
    constructor such as "edsr(scale=2, blocks=16)" or "spandrel.SwinIR(embed_dim=60)", one's own
    "package.module:function", or a module, which is copied.
    `scale` chooses among the scales of a network that has several, and is checked otherwise.

    Raises:
        NetworkError: it cannot be found, read, recognised or built, or is for another scale.
    """
    network = _load(reference, scale)
    if scale is not None and network.scale != scale:
        given = network.name if isinstance(reference, nn.Module) else reference
        raise NetworkError(f"{given} is a network for x{network.scale}, but x{scale} was asked for")
    return network


def _load(reference: str | Path | nn.Module, scale: int | None) -> Network:
    if isinstance(reference, Network):
        return copy.deepcopy(reference)
    if isinstance(reference, nn.Module):
        return factory.adopt(reference, scale=scale)
    text = str(reference)
    if isinstance(reference, Path) or (not looks_like_call(text) and Path(text).is_file()):
        return from_file(Path(reference), scale)
    if looks_like_call(text) or text in own.names() or text.startswith("spandrel."):
        return from_constructor(text, scale)
    if re.fullmatch(r"[A-Za-z_][\w.]*:[A-Za-z_]\w*", text):
        return factory.construct(text, scale=scale)
    if text.lower().endswith(SUFFIXES) or "/" in text or "\\" in text:
        return from_file(Path(text), scale)
    raise NetworkError(
        f"there is no file or network {text!r}{did_you_mean(text, own.names())}; expected a checkpoint file, "
        f'one of {", ".join(own.names())}, "spandrel.NAME(...)" or "package.module:function"'
    )


def from_constructor(text: str, scale: int | None = None) -> Network:
    """A network with fresh weights."""
    call = parse(text)
    if call.name.startswith("spandrel."):
        return spandrel.construct(call.name.removeprefix("spandrel."), call.arguments, scale=scale)
    arguments = dict(call.arguments)
    if scale is not None:
        arguments.setdefault("scale", scale)
    return _own(call.name, arguments, own.build(call.name, arguments))


def from_file(path: Path, scale: int | None = None) -> Network:
    """A network of ours from its native file, any other from a checkpoint."""
    if path.suffix.lower() == ".safetensors" and path.is_file():
        tensors, header = read_safetensors(path)
        if file.is_native(header):
            return file.rebuild(tensors, header, path)
        return from_state(strip(tensors), path, scale)
    return from_state(read_state(path), path, scale)


def from_state(state: Mapping[str, Tensor], path: Path, scale: int | None = None) -> Network:
    """Recognise the architecture of tensors: ours first, then spandrel's."""
    try:
        recognised = own.recognise(state, scale or _scale_in_name(path))
    except NetworkError as error:
        raise NetworkError(f"cannot load {path}: {error}") from error
    if recognised is not None:
        name, found = recognised
        body = own.build(name, found.arguments)
        _fill(body, found.state, f"{path} as {name}({_spelled(found.arguments)})")
        return _own(name, found.arguments, body)
    network = spandrel.recognise(state)
    if network is None:
        raise NetworkError(_unknown(state, path))
    return network


def _own(name: str, arguments: Mapping[str, object], body: nn.Module) -> Network:
    return Network(
        body,
        name=name,
        scale=own.scale(name, arguments),
        base=Base("own", name, dict(arguments)),
        adapter=own.adapter(name, arguments),
    )


def _fill(body: nn.Module, state: Mapping[str, Tensor], what: str) -> None:
    try:
        body.load_state_dict(dict(state))
    except RuntimeError as error:
        reason = " ".join(str(error).split("\n", 1)[-1].split())[:400]
        raise NetworkError(f"cannot load {what}: the tensors do not fit: {reason}") from error


def _spelled(arguments: Mapping[str, object]) -> str:
    return ", ".join(f"{key}={value!r}" for key, value in arguments.items())


def _scale_in_name(path: Path) -> int | None:
    """The scale that a file's name speaks of: x4, 4x, X4."""
    found = re.search(
        r"(?<![0-9a-z])x([2348])(?![0-9])|(?<![0-9a-z])([2348])x(?![0-9a-z])", path.stem.lower()
    )
    return int(found.group(1) or found.group(2)) if found else None


def _unknown(state: Mapping[str, Tensor], path: Path) -> str:
    first = ", ".join(list(state)[:3])
    close = did_you_mean(re.sub(r"[^a-zA-Z]", "", path.stem), [*own.names(), *spandrel.families()])
    return (
        f"cannot load {path}: its {len(state)} tensors ({first}, ...) belong to no architecture known here"
        f"{close}. "
        f"Known are {', '.join(own.names())}; of spandrel {', '.join(spandrel.families())}. "
        'For one of your own, name a function that returns it with its weights: "package.module:function"'
    )
