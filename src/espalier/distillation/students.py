"""Where a student comes from, and what it takes over from its teacher before it learns."""

import ast
from dataclasses import dataclass
from typing import Literal

import torch
from torch import nn

from espalier.distillation.matching import sources
from espalier.errors import NetworkError
from espalier.networks.family import arguments, narrowed
from espalier.networks.network import Network

PRUNED = "pruned:"


@dataclass(frozen=True)
class Wish:
    """What a person wrote for `--student`."""

    kind: Literal["pruned", "changed", "named"]
    text: str
    """A budget, "argument=value, ...", or a file or constructor."""


def wish(text: str) -> Wish:
    """Tell "pruned:params=0.6" and "blocks=8, channels=48" from everything that names a network."""
    text = text.strip()
    if text.startswith(PRUNED):
        return Wish("pruned", text.removeprefix(PRUNED))
    plain = not any(sign in text for sign in "(/\\:")
    return Wish("changed" if "=" in text and plain else "named", text)


def changed(teacher: Network, text: str) -> Network:
    """A fresh member of the teacher's own architecture with other arguments: "blocks=8", "channels=48".

    Raises:
        NetworkError: the teacher has no such argument, or was pruned and so is no plain member.
    """
    if teacher.plans or not teacher.base.takes_arguments:
        raise NetworkError(
            f"{teacher.name} is no plain member of an architecture, so {text!r} cannot change it; "
            "name a whole network as the student, or pruned:params=0.6"
        )
    return narrowed(teacher, _values(teacher, text))


def _values(teacher: Network, text: str) -> dict[str, int]:
    known, found = arguments(teacher), {}
    for part in filter(None, (part.strip() for part in text.split(","))):
        name, _, value = (word.strip() for word in part.partition("="))
        if name not in known:
            raise NetworkError(f"{teacher.name} has no argument {name!r}; it has {', '.join(known)}")
        try:
            found[name] = ast.literal_eval(value)
        except (ValueError, SyntaxError):
            raise NetworkError(
                f"{part!r} is no argument with a plain value; write for example blocks=8"
            ) from None
    return found


@torch.no_grad()
def take_over(student: Network, teacher: Network) -> float:
    """Copy into the student what has its place and shape in the teacher; the share of its parameters that did.

    Of fewer blocks, each begins as one of the teacher's, evenly spaced.
    """
    taught = teacher.body.state_dict()
    blocks = sources(student.body, teacher.body)
    state, copied = student.body.state_dict(), set[str]()
    for name, tensor in state.items():
        source = taught.get(_renamed(name, blocks))
        if source is not None and source.shape == tensor.shape:
            tensor.copy_(source)
            copied.add(name)
    return _share(student.body, copied)


def _renamed(name: str, blocks: dict[str, str]) -> str:
    for own, taught in blocks.items():
        if name.startswith(f"{own}."):
            return taught + name.removeprefix(own)
    return name


def _share(body: nn.Module, names: set[str]) -> float:
    sizes = {name: p.numel() for name, p in body.named_parameters()}
    return sum(size for name, size in sizes.items() if name in names) / max(sum(sizes.values()), 1)
