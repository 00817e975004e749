"""Size of the BatchNorm scale of the channel (network slimming, Liu et al., ICCV 2017); L2 where there is none.

Any one-dimensional `weight` of a group counts as a scale, so LayerNorm and GroupNorm serve as well.
"""

import numpy as np

from espalier.channels import ChannelGroup
from espalier.importance import Tensors, l2
from espalier.importance.slices import slices


def score(group: ChannelGroup, tensors: Tensors, rng: np.random.Generator) -> np.ndarray:
    scales = [
        np.abs(slices(tensors[m.tensor], m)).mean(1)
        for m in group.members
        if m.tensor.endswith("weight") and tensors[m.tensor].ndim == 1
    ]
    return np.mean(scales, axis=0) if scales else l2.score(group, tensors, rng)
