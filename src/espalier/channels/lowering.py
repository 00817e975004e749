"""From chosen channels to a plan: the slices of every tensor that go, and the integers that follow."""

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from torch import nn

from espalier.channels.atoms import ALIVE, Classes
from espalier.channels.groups import ChannelGroup
from espalier.channels.labels import varying
from espalier.channels.records import SizeUse, Trace
from espalier.errors import PlanError
from espalier.plan import Choice, Cut, PrunePlan, Relink

Kept = Mapping[str, Sequence[int]]
"""Group name -> channels that stay, ascending."""

Frozen = frozenset[tuple[str, str]]
"""Type of module and attribute: integers that equal a channel count by chance and never follow a cut."""


@dataclass(frozen=True)
class Link:
    """An attribute of a module that may be the integer that the module used as a size."""

    use: SizeUse
    kind: str
    """Type of the module."""
    attribute: str
    path: tuple[int, ...]


def dead_classes(groups: Sequence[ChannelGroup], classes: Classes, kept: Kept) -> np.ndarray:
    """Which classes of atoms go, as a boolean array indexed by class.

    Raises:
        PlanError: an unknown group, a channel out of range, or nothing left of a group.
    """
    by_name = {group.name: group for group in groups}
    dead = np.zeros(len(classes.root), dtype=bool)
    for name, channels in kept.items():
        group = by_name.get(name)
        if group is None:
            raise PlanError(f"no channel group is called {name!r}; `espalier inspect` lists the groups")
        if group.status == "pinned":
            raise PlanError(f"group {name!r} cannot be cut: {group.reason}")
        if not len(channels) or min(channels) < 0 or max(channels) >= group.channels:
            raise PlanError(
                f"group {name!r} has channels 0..{group.channels - 1}; cannot keep {list(channels)}"
            )
        gone = np.ones(group.channels, dtype=bool)
        gone[list(channels)] = False
        dead[group.classes[gone]] = True
    for parent, children in classes.children.items():
        if len(children) and dead[children].all():
            dead[parent] = True
    return dead


def _check_shares(groups: Sequence[ChannelGroup], kept: Kept) -> None:
    """Tied groups keep the same share, or PlanError."""
    seen: dict[int, tuple[str, float]] = {}
    for group in groups:
        if group.status != "pinned":
            share = len(kept.get(group.name, range(group.channels))) / group.channels
            first, expected = seen.setdefault(group.tie, (group.name, share))
            if share != expected:
                raise PlanError(
                    f"groups {first!r} and {group.name!r} must keep the same share of their channels; "
                    f"got {expected:g} and {share:g}"
                )


class Lowering:
    """Makes plans of one traced network's cuts; what all of them need is found once."""

    def __init__(
        self, network: nn.Module, trace: Trace, groups: Sequence[ChannelGroup], classes: Classes
    ) -> None:
        self.groups = groups
        self.classes = classes
        self.links = links_of(network, trace)
        self.alike = _alike(self.links)
        self._owned = [
            (name, dim, classes.of(atoms))
            for name, axes in trace.owners.items()
            for dim, atoms in enumerate(axes)
            if atoms is not None
        ]
        self._counted = {id(f): classes.of(f) for link in self.links for f in link.use.label}
        self._of_heads = self._counting_heads()

    def plan(self, kept: Kept, dead: np.ndarray, frozen: Frozen = frozenset()) -> PrunePlan:
        """The plan that keeps `kept` of each named group, `dead` being the classes that go.

        Raises:
            PlanError: tied groups would keep different shares.
        """
        _check_shares(self.groups, kept)
        relinks = tuple(self._relinks(dead, frozen))
        sizes = {group.name: group.channels for group in self.groups}
        choices = tuple(
            Choice(name, sizes[name], tuple(int(c) for c in channels)) for name, channels in kept.items()
        )
        return PrunePlan(tuple(self._cuts(dead)), relinks, choices)

    def _cuts(self, dead: np.ndarray) -> Iterator[Cut]:
        for name, dim, owners in self._owned:
            lives = ~dead[owners]
            if not lives.all():
                yield Cut(name, dim, len(lives), tuple(np.flatnonzero(lives).tolist()))

    def _relinks(self, dead: np.ndarray, frozen: Frozen) -> Iterator[Relink]:
        """The integers that follow a cut, by the majority of their uses.

        A lone integer that counts both heads and the width of one, as these are equally many, is the number of heads:
        the width follows from it in all code of this kind. Beside one of its value that is frozen, which explains the
        uses that stay, an integer follows the others.
        """
        votes: dict[tuple[str, str, tuple[int, ...], int], Counter[int]] = defaultdict(Counter)
        of_heads: dict[tuple[str, str, tuple[int, ...], int], Counter[int]] = defaultdict(Counter)
        left: dict[tuple, int] = {}
        for link in self.links:
            if (link.kind, link.attribute) not in frozen:
                use = link.use
                same = (tuple(map(id, use.label)), use.dim, use.start, use.stop)
                if same not in left:
                    left[same] = self._survivors(use, dead)
                place = use.module, link.attribute, link.path, use.value
                votes[place][left[same]] += 1
                if id(link) in self._of_heads:
                    of_heads[place][left[same]] += 1
        alike = Counter((module, old) for module, _, _, old in votes)
        settled = {(k.use.module, k.use.value) for k in self.links if (k.kind, k.attribute) in frozen}
        for place, counter in votes.items():
            module, attribute, path, old = place
            if (module, old) in settled:
                counter = Counter({new: uses for new, uses in counter.items() if new != old}) or counter
            elif place in of_heads and alike[module, old] == 1:
                counter = of_heads[place]
            new = max(counter, key=lambda value: (counter[value], value != old))
            if new != old:
                yield Relink(module, attribute, path, old, new)

    def _counting_heads(self) -> set[int]:
        """Links to integers that count rows of channels that may go; rows of a table's entries are no heads."""
        may_go = np.zeros(len(self.classes.root) + 1, dtype=bool)  # the last place stands for `ALIVE`
        for group in self.groups:
            may_go[group.classes] = group.status != "pinned"
        going = {key: bool(may_go[ids].any()) for key, ids in self._counted.items()}
        return {
            id(link)
            for link in self.links
            for f in link.use.label
            if f.shape[link.use.dim] > 1 and varying(f)[-1] != link.use.dim and going[id(f)]
        }

    def _survivors(self, use: SizeUse, dead: np.ndarray) -> int:
        """How many of the positions that an integer counts are left."""
        dim, count = use.dim, None
        for factor in use.label:
            if factor.shape[dim] == 1:
                continue
            ids = self._counted[id(factor)]
            part = ids.take(range(use.start, use.stop or ids.shape[dim]), axis=dim)
            lives = (part == ALIVE) | ~dead[part]
            others = tuple(d for d in varying(factor) if d != dim)
            if (
                others and max(others) < dim
            ):  # the inner dimension: rows keep different positions, equally many
                found = int(lives.sum(axis=dim).max())
            else:
                found = int(lives.any(axis=others).sum())
            count = found if count is None else min(count, found)
        assert count is not None
        return count


def _alike(links: Sequence[Link]) -> Frozen:
    """Attributes of modules that remember the same integer in several of them, of which each may mean another size."""
    holders: dict[tuple[str, int], set[tuple[str, str]]] = defaultdict(set)
    for link in links:
        holders[link.use.module, link.use.value].add((link.kind, link.attribute))
    return frozenset().union(*(found for found in holders.values() if len(found) > 1))


def links_of(network: nn.Module, trace: Trace) -> list[Link]:
    """Where modules remember the sizes that they have used."""
    modules = dict(network.named_modules())
    found: list[Link] = []
    for use in trace.sizes:
        module = modules[use.module]
        for attribute, path in _places(module, use):
            if (use.module, attribute) not in trace.assigned:
                found.append(Link(use, type(module).__name__, attribute, path))
    return found


def _places(module: nn.Module, use: SizeUse) -> Iterator[tuple[str, tuple[int, ...]]]:
    """Where the module remembers the integer."""
    if use.attribute is not None and hasattr(module, use.attribute):
        names = [use.attribute]
    elif type(module).__module__.startswith("torch.nn."):
        names = [name for name in ("unflattened_size", "num_heads") if hasattr(module, name)]
    else:
        names = [name for name in vars(module) if not name.startswith("_")]
    for name in names:
        value = getattr(module, name)
        if use.among and _spells(value, use.among):
            yield name, (use.place,)
        else:
            yield from ((name, path) for path in _paths(value, use.value))


def _spells(value: Any, sizes: tuple[int, ...]) -> bool:
    """Whether the attribute is the very list of sizes that was passed, -1 standing for any."""
    if not isinstance(value, list | tuple) or len(value) != len(sizes):
        return False
    return all(v in (size, -1) for v, size in zip(value, sizes, strict=True))


def _paths(value: Any, wanted: int, depth: int = 2) -> Iterator[tuple[int, ...]]:
    if type(value) is int and value == wanted:
        yield ()
    elif isinstance(value, list | tuple) and depth and len(value) <= 64 and not _is_image_size(value):
        for k, item in enumerate(value):
            for path in _paths(item, wanted, depth - 1):
                yield (k, *path)


def _is_image_size(value: list | tuple) -> bool:
    """Two equal integers are the height and width of an image or a window, whatever channels they may equal."""
    return len(value) == 2 and type(value[0]) is int and value[0] == value[1]
