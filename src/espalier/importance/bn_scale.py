"""Size of the BatchNorm scale of the channel (network slimming, Liu et al., ICCV 2017); L2 where there is none.

Any one-dimensional `weight` that has a `bias` beside it counts as a scale, so LayerNorm and GroupNorm serve as well;
the slopes of a PReLU, which has none, do not.
"""

import numpy as np

from espalier.channels import ChannelGroup, Member
from espalier.importance import Tensors, l2
from espalier.importance.slices import slices


def score(group: ChannelGroup, tensors: Tensors, rng: np.random.Generator) -> np.ndarray:
    found = [np.abs(slices(tensors[m.tensor], m)).mean(1) for m in group.members if _is_scale(m, tensors)]
    return np.mean(found, axis=0) if found else l2.score(group, tensors, rng)


def _is_scale(member: Member, tensors: Tensors) -> bool:
    layer, _, kind = member.tensor.rpartition(".")
    return kind == "weight" and tensors[member.tensor].ndim == 1 and f"{layer}.bias" in tensors
