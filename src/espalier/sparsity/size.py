"""What a sparse network weighs: non-zero parameters, bytes in a file, and the least that any file could have."""

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from espalier.networks.file import stored
from espalier.networks.network import Network
from espalier.networks.sparse import MASKS
from espalier.sparsity.weights import sparsity


@dataclass(frozen=True)
class Size:
    """Of one network."""

    params: int
    nonzero: int
    """Parameters that are not pruned."""
    sparsity: float
    """Share pruned of the weights that have masks."""
    bytes: int
    """Tensors in the file, without its header."""
    bound: float
    """The values that stay, and each mask at the entropy of independent zeros."""


def size(network: Network, values: torch.dtype | None = None) -> Size:
    """Count; nothing is written. `values` as for `networks.file.save`."""
    tensors, _ = stored(network, values)
    pruned = sum(mask.numel() - int(mask.count_nonzero()) for mask in network.masks.values())
    params = sum(p.numel() for p in network.body.parameters())
    taken = sum(t.numel() * t.element_size() for t in tensors.values())
    coded = tensors[MASKS].numel() if network.masks else 0
    least = taken - coded + sum(entropy(mask) for mask in network.masks.values()) / 8
    return Size(params, params - pruned, sparsity(network.masks), taken, least)


def entropy(mask: Tensor) -> float:
    """Bits of a mask whose weights were pruned independently of one another."""
    share = int(mask.count_nonzero()) / max(mask.numel(), 1)
    return sum(-p * math.log2(p) for p in (share, 1 - share) if p > 0) * mask.numel()
