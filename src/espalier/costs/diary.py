"""Which tensors a forward pass makes, how large they are, and when they go."""

import weakref
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils._pytree import tree_leaves

from espalier.costs.running import at_rest
from espalier.dispatch import Mode
from espalier.networks.network import Network


def written(network: Network, image: Tensor) -> "Diary":
    """The diary of one run; weights and the image are not in it."""
    diary = Diary([*network.parameters(), *network.buffers(), image])
    image = image.to(next(network.parameters()).dtype)
    with at_rest(network), diary:
        network(image)
    return diary


class Diary(Mode):
    """Writes down the storages that operators make, and when they go."""

    def __init__(self, known: list[Tensor]) -> None:
        super().__init__()
        self.sizes: list[int] = []
        self.ends: dict[int, int] = {}
        """Tensor -> the tensor before whose making it went."""
        self.now = 0
        self.peak = 0
        """Bytes alive at once."""
        self._seen = {tensor.untyped_storage()._cdata for tensor in known}

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        del types
        out = func(*args, **(kwargs or {}))
        for leaf in tree_leaves(out):
            if isinstance(leaf, Tensor):
                self._meet(leaf.untyped_storage())
        return out

    def together(self) -> np.ndarray:
        """Which tensors live when the k-th is made, (tensors, tensors)."""
        count = len(self.sizes)
        moments = np.arange(count)
        ends = np.array([self.ends.get(k, count) for k in range(count)])
        return ((moments[:, None] >= moments) & (moments[:, None] < ends)).astype(np.float64)

    def _meet(self, storage: torch.UntypedStorage) -> None:
        if storage._cdata in self._seen:
            return
        self._seen.add(storage._cdata)
        number = len(self.sizes)
        self.sizes.append(storage.nbytes())
        self.now += storage.nbytes()
        self.peak = max(self.peak, self.now)
        weakref.finalize(storage, self._part, storage._cdata, number).atexit = False

    def _part(self, key: int, number: int) -> None:
        self._seen.discard(key)
        self.ends[number] = len(self.sizes)
        self.now -= self.sizes[number]
