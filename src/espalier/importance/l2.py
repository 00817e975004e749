"""L2 norm of the filters that make the channel, in the layer where the group begins."""

import numpy as np

from espalier.channels import ChannelGroup
from espalier.importance import Tensors
from espalier.importance.slices import slices


def score(group: ChannelGroup, tensors: Tensors, rng: np.random.Generator) -> np.ndarray:
    del rng
    root = group.members[0]
    return np.sqrt(np.square(slices(tensors[root.tensor], root)).sum(1))
