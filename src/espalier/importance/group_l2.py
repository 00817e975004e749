"""L2 norm over all slices of the channel, in every layer of its group, each layer brought to mean one first.

The normalisation keeps a layer with large weights from speaking for the whole group (Fang et al., CVPR 2023).
"""

import numpy as np

from espalier.channels import ChannelGroup
from espalier.importance import Tensors
from espalier.importance.slices import slices


def score(group: ChannelGroup, tensors: Tensors, rng: np.random.Generator) -> np.ndarray:
    del rng
    total = np.zeros(group.channels)
    for member in group.members:
        tensor = tensors[member.tensor]
        if tensor.ndim > 1:  # biases and norms say little about a channel's use
            squares = np.square(slices(tensor, member)).sum(1)
            total += squares / max(squares.mean(), np.finfo(float).tiny)
    return np.sqrt(total)
