"""Peak memory of a forward pass."""

import weakref
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from espalier.costs.running import at_rest, default_lr_size, example, without_weights
from espalier.networks.network import Network


@dataclass(frozen=True)
class Memory:
    """Bytes that one forward pass of one image of `input_size` (height, width) needs at its worst moment."""

    activations: int
    """Tensors alive at once, besides weights and the input image."""
    weights: int
    input_size: tuple[int, int]
    device: str

    @property
    def total(self) -> int:
        return self.activations + self.weights

    def to_dict(self) -> dict[str, Any]:
        """`memory`, its parts and how it was found, for JSON."""
        return {
            "memory": self.total,
            "memory_activations": self.activations,
            "memory_input_size": list(self.input_size),
        }


def peak(
    network: Network, lr_size: tuple[int, int] | None = None, device: torch.device | str | None = None
) -> Memory:
    """The peak memory of `network` at `lr_size` (by default, of a 1280 x 720 output).

    On CUDA the allocator is asked during a real run. Elsewhere the tensors alive are summed over a run
    without values: exact and instant, but without the scratch space that operators use inside.
    """
    size = lr_size or default_lr_size(network.scale)
    place = torch.device(device) if device is not None else next(network.parameters()).device
    tensors = [*network.parameters(), *network.buffers()]
    weights = sum(tensor.numel() * tensor.element_size() for tensor in tensors)
    activations = _on_cuda(network, size, place) if place.type == "cuda" else _by_tensors(network, size)
    return Memory(activations, weights, size, str(place))


def _on_cuda(network: Network, size: tuple[int, int], device: torch.device) -> int:
    network.to(device)
    image = example(size, device).to(next(network.parameters()).dtype)
    with at_rest(network):
        network(image)  # the first run allocates workspaces that stay
        torch.cuda.synchronize(device)
        torch.cuda.reset_peak_memory_stats(device)
        before = torch.cuda.memory_allocated(device)
        network(image)
        torch.cuda.synchronize(device)
        return torch.cuda.max_memory_allocated(device) - before


def _by_tensors(network: Network, size: tuple[int, int]) -> int:
    try:
        return _watched(without_weights(network), example(size, "meta"))
    except (RuntimeError, NotImplementedError, TypeError, ValueError):
        return _watched(network, example(size, next(network.parameters()).device))


def _watched(network: Network, image: Tensor) -> int:
    known = [*network.parameters(), *network.buffers(), image]
    watcher = _Watcher(known)
    image = image.to(next(network.parameters()).dtype)
    with at_rest(network), watcher:
        network(image)
    return watcher.peak


class _Watcher(TorchDispatchMode):
    """Sums the storages that operators make, as long as they live."""

    def __init__(self, known: list[Tensor]) -> None:
        super().__init__()
        self.now = 0
        self.peak = 0
        self._seen = {tensor.untyped_storage()._cdata for tensor in known}

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        out = func(*args, **(kwargs or {}))
        for leaf in tree_leaves(out):
            if isinstance(leaf, Tensor):
                self._meet(leaf)
        return out

    def _meet(self, tensor: Tensor) -> None:
        storage = tensor.untyped_storage()
        if storage._cdata in self._seen:
            return
        size = storage.nbytes()
        self._seen.add(storage._cdata)
        self.now += size
        self.peak = max(self.peak, self.now)
        weakref.finalize(storage, self._part, storage._cdata, size).atexit = False

    def _part(self, key: int, size: int) -> None:
        self._seen.discard(key)
        self.now -= size
