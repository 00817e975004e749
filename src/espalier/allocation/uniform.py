"""The same share of every group goes."""

import numpy as np

from espalier.channels import Unit


def keys(unit: Unit, scores: dict[str, np.ndarray]) -> np.ndarray:
    del scores
    return np.arange(1, unit.levels + 1) / unit.levels
