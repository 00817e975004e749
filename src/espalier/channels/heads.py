"""Attention heads as one choice each, in place of the widths inside them.

An atom that lives as long as any of a row of others does is what scores of queries and keys leave of a head. Where the
row's atoms are united, the head goes whole: its queries, keys, values, and whatever else there is one of for each head
(position biases, temperatures, slices of the projection behind). All that follows treats heads as channels.
"""

from collections.abc import Container, Iterable

import numpy as np
import torch

from espalier.channels.atoms import Classes
from espalier.channels.groups import ChannelGroup
from espalier.channels.records import Trace


def whole_heads(trace: Trace, but: Container[int] = ()) -> Trace:
    """The trace with every head's channels united; `but` are numbers of rows to be left as they are."""
    for number, row in enumerate(trace.atoms.rows):
        if number not in but:
            children = torch.from_numpy(row.children)
            trace.atoms.unite(children, children[:1], "one attention head")
    return trace


def rows_held_back(trace: Trace, classes: Classes, groups: Iterable[ChannelGroup]) -> set[int]:
    """Numbers of the rows that cannot be cut as they are now, of which something could be otherwise."""
    whole = [group.classes for group in groups if group.status in ("pinned", "rigid")]
    held = np.concatenate(whole) if whole else np.empty(0, dtype=np.int64)
    rows = enumerate(trace.atoms.rows)
    return {k for k, row in rows if len(row.children) > 1 and np.isin(classes.root[row.children], held).any()}
