"""The cheapest channels of the whole network go first, by scores that mean the same in every group.

For scores in one unit, such as squared error of the image per MAC saved; what groups share a level is averaged.
"""

import numpy as np

from espalier.channels import Unit


def keys(unit: Unit, scores: dict[str, np.ndarray]) -> np.ndarray:
    levels = [np.sort(scores[group.name]).reshape(unit.levels, -1).mean(1) for group in unit.groups]
    return np.mean(levels, axis=0)
