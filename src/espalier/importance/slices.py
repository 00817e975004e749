"""The numbers that a channel owns in one tensor."""

import numpy as np
from torch import Tensor

from espalier.channels import Member


def slices(tensor: Tensor, member: Member) -> np.ndarray:
    """All values of each channel's slices, shape (channels, values)."""
    rows = tensor.double().movedim(member.dim, 0).reshape(tensor.shape[member.dim], -1).cpu().numpy()
    return rows[member.positions].reshape(len(member.positions), -1)
