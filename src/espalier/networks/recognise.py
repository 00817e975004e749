"""Reading an architecture and its sizes off the names and shapes of a checkpoint's tensors."""

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor


@dataclass(frozen=True)
class Recognised:
    """A checkpoint that one of our networks understands."""

    arguments: dict[str, Any]
    """Keyword arguments of the network's class."""
    state: Mapping[str, Tensor]
    """The tensors under the names of our class."""


def has(state: Mapping[str, Tensor], *names: str) -> bool:
    """Whether all of `names` are there."""
    return all(name in state for name in names)


def count(state: Mapping[str, Tensor], pattern: str) -> int:
    """How many different numbers stand in the group of `pattern`, matched at the start of the names."""
    found = (re.match(pattern, name) for name in state)
    return len({match.group(1) for match in found if match})


def rename(state: Mapping[str, Tensor], table: Mapping[str, str]) -> dict[str, Tensor]:
    """The tensors under new names: each pattern of `table` that matches a name's start is replaced."""
    return {_renamed(name, table): tensor for name, tensor in state.items()}


def _renamed(name: str, table: Mapping[str, str]) -> str:
    for pattern, replacement in table.items():
        new, hits = re.subn(f"^{pattern}", replacement, name)
        if hits:
            return new
    return name


def without(state: Mapping[str, Tensor], *prefixes: str) -> dict[str, Tensor]:
    """The tensors whose names start with none of `prefixes`."""
    return {name: tensor for name, tensor in state.items() if not name.startswith(prefixes)}


def shuffle_scale(channels: int, colours: int = 3) -> int | None:
    """Scale of a pixel shuffle that makes `colours` channels of `channels`; None if there is none."""
    scale = math.isqrt(channels // colours)
    return scale if scale * scale * colours == channels else None


def stored_means(state: Mapping[str, Tensor], default: Sequence[float]) -> dict[str, Tensor]:
    """Our two mean-colour buffers from a checkpoint's `add_mean`: a 1x1 convolution's bias, or ours."""
    found = [t for name, t in state.items() if name.startswith("add_mean.") and t.numel() == 3]
    colour = (found[0] if found else torch.tensor(list(default))).reshape(3, 1, 1)
    return {"sub_mean.shift": -colour, "add_mean.shift": colour}
