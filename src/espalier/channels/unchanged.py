"""Leaving a network as it was: runs keep things on modules, cuts change tensors and attributes."""

import copy
from collections.abc import Iterator
from contextlib import contextmanager

from torch import nn

_CONTAINERS = (list, dict, set)


@contextmanager
def unchanged(network: nn.Module) -> Iterator[None]:
    """Afterwards all tensors and attributes, and what lists, dicts and sets of the modules hold, are as before."""
    tensors = [(t, t.data) for t in network.parameters()]
    buffers = [(t, t.data, t.data.clone()) for t in network.buffers()]
    states = [(vars(module), dict(vars(module))) for module in network.modules()]
    contents = [(c, copy.copy(c)) for _, saved in states for c in saved.values() if type(c) in _CONTAINERS]
    try:
        yield
    finally:
        for container, saved in contents:
            container.clear()
            container.extend(saved) if isinstance(container, list) else container.update(saved)
        for state, saved in states:
            state.clear()
            state.update(saved)
        for tensor, data in tensors:
            tensor.data = data
        for tensor, data, values in buffers:
            tensor.data = data
            data.copy_(values)
