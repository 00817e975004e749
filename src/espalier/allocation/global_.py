"""The lowest scores of the whole network go first, each group's scores brought to mean one."""

import numpy as np

from espalier.allocation.units import Unit, ranked


def keys(unit: Unit, scores: dict[str, np.ndarray]) -> np.ndarray:
    return ranked(unit, scores)
