"""Leaving a network as it was: runs keep things on modules, cuts change tensors and attributes."""

import copy
import gc
from collections.abc import Iterator
from contextlib import contextmanager

from torch import nn

_CONTAINERS = (list, dict, set)


class Snapshot:
    """All tensors, gradients and attributes of a network, and what lists, dicts and sets of its modules hold."""

    def __init__(self, network: nn.Module) -> None:
        modules = list(network.modules())
        parameters = {id(t): t for module in modules for t in module._parameters.values() if t is not None}
        buffers = {id(t): t for module in modules for t in module._buffers.values() if t is not None}
        self._tensors = [(t, t.data, t.grad) for t in parameters.values()]
        self._buffers = [(t, t.data, t.data.clone()) for t in buffers.values()]
        self._states = [(vars(module), dict(vars(module))) for module in modules]
        held = (c for _, saved in self._states for c in saved.values() if type(c) in _CONTAINERS)
        self._contents = [(c, copy.copy(c)) for c in held]

    def restore(self) -> None:
        """Make the network what it was, any number of times."""
        for container, saved in self._contents:
            if container or saved:
                container.clear()
                container.extend(saved) if isinstance(container, list) else container.update(saved)
        for state, saved in self._states:
            state.clear()
            state.update(saved)
        for tensor, data, gradient in self._tensors:
            tensor.grad = None  # of the other shape or type, perhaps
            tensor.data = data
            tensor.grad = gradient
        for tensor, data, values in self._buffers:
            tensor.data = data
            data.copy_(values)


@contextmanager
def uncollected() -> Iterator[None]:
    """Python's collector rests: it would visit all objects of the process again and again, to find no cycles here."""
    before = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if before:
            gc.enable()


@contextmanager
def unchanged(network: nn.Module) -> Iterator[None]:
    """Afterwards the network is as before."""
    before = Snapshot(network)
    try:
        yield
    finally:
        before.restore()
