"""Channel groups whose ties can be kept.

The rows of a grid (the groups of a convolution or of a norm) may lose different channels, but equally many.
Where other code takes the rows apart unevenly (a split within a row) they have no common share; there the rows
are united by rank, and lose the same channels.
"""

import numpy as np
from torch import Tensor

from espalier.channels.atoms import ALIVE, Classes
from espalier.channels.groups import ChannelGroup, find_groups
from espalier.channels.labels import varying
from espalier.channels.records import Trace
from espalier.channels.units import units_of


def even_groups(trace: Trace) -> tuple[Classes, tuple[ChannelGroup, ...]]:
    """All groups of a trace and the classes they stand on."""
    while True:
        classes = trace.atoms.resolve()
        groups = find_groups(trace, classes)
        stuck = _stuck(groups)
        grids = [grid for grid in trace.grids if np.isin(classes.of(grid), stuck).any()]
        if not sum(_unite_rows(trace, grid, classes) for grid in grids):
            return classes, groups


def _stuck(groups: tuple[ChannelGroup, ...]) -> np.ndarray:
    """Classes of tied groups that have no common share."""
    units = units_of(group for group in groups if group.status == "unproven")
    parts = [g.classes for unit in units if unit.levels < 2 and len(unit.groups) > 1 for g in unit.groups]
    return np.concatenate(parts) if parts else np.empty(0, dtype=np.int64)


def _unite_rows(trace: Trace, grid: Tensor, classes: Classes) -> bool:
    """Unite the rows position by position; whether that changes anything."""
    inner = varying(grid)[-1]
    table = grid.movedim(inner, -1).reshape(-1, grid.shape[inner])
    ids = classes.of(table)
    if (ids == ids[:1]).all() or (ids == ALIVE).any():
        return False
    trace.atoms.unite(table, table[:1], "rows of uneven groups")
    return True
