"""Criteria: one file each, a function `score(group, tensors, rng)` that gives one number per channel."""

import importlib
import pkgutil
from collections.abc import Callable, Iterable, Mapping

import numpy as np
from torch import Tensor, nn

from espalier.channels import ChannelGroup
from espalier.errors import PlanError
from espalier.surgery import named_tensors

Tensors = Mapping[str, Tensor]
Criterion = Callable[[ChannelGroup, Tensors, np.random.Generator], np.ndarray]
"""Group, the network's tensors by name, a random generator -> scores, shape (channels,); the lowest goes first."""


def criteria() -> list[str]:
    """Names of all criteria."""
    return sorted(info.name for info in pkgutil.iter_modules(__path__) if info.name != "slices")


def criterion(name: str) -> Criterion:
    """The criterion of this name.

    Raises:
        PlanError: there is none.
    """
    if name not in criteria():
        raise PlanError(f"there is no criterion {name!r}; choose one of {', '.join(criteria())}")
    return importlib.import_module(f"{__name__}.{name}").score


def scores(
    name: str, network: nn.Module, groups: Iterable[ChannelGroup], *, seed: int = 0
) -> dict[str, np.ndarray]:
    """Score every group's channels by the criterion `name`: group name -> array of shape (channels,).

    Raises:
        PlanError: there is no such criterion.
    """
    score = criterion(name)
    tensors = {key: tensor.detach() for key, tensor in named_tensors(network).items()}
    rng = np.random.default_rng(seed)
    return {group.name: score(group, tensors, rng) for group in groups}
