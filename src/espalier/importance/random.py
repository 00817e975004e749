"""Random scores: the baseline that every criterion must beat."""

import numpy as np

from espalier.channels import ChannelGroup
from espalier.importance import Tensors


def score(group: ChannelGroup, tensors: Tensors, rng: np.random.Generator) -> np.ndarray:
    del tensors
    return rng.random(group.channels)
