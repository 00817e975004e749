"""Where the names of dots stand: beside them, and never on one another."""

from collections.abc import Sequence
from dataclasses import dataclass

CHARACTER, HEIGHT = 7.8, 14.0
"""Size of a letter of the charts' type, in their units."""
RADIUS = 6.0
PLACES = ((10, -8, "start"), (-10, -8, "end"), (10, 16, "start"), (-10, 16, "end"))
"""Offset and anchor: right above, left above, right below, left below."""

Box = tuple[float, float, float, float]
"""Left, top, right, bottom."""


@dataclass(frozen=True)
class Label:
    """A name's anchor."""

    x: float
    y: float
    anchor: str


def place(
    centres: Sequence[tuple[float, float]], names: Sequence[str], frame: Box, order: Sequence[int]
) -> list[Label | None]:
    """A place for every name, those first in `order` first; None where there is no room."""
    taken = [(x - RADIUS, y - RADIUS, x + RADIUS, y + RADIUS) for x, y in centres]
    found: list[Label | None] = [None] * len(names)
    for index in order:
        x, y = centres[index]
        width = CHARACTER * len(names[index])
        for dx, dy, anchor in PLACES:
            box = _box(x + dx, y + dy, width, anchor)
            if _inside(box, frame) and not any(_meet(box, other) for other in taken):
                taken.append(box)
                found[index] = Label(x + dx, y + dy, anchor)
                break
    return found


def _box(x: float, y: float, width: float, anchor: str) -> Box:
    left = x - width if anchor == "end" else x
    return left, y - HEIGHT * 0.8, left + width, y + HEIGHT * 0.2


def _inside(box: Box, frame: Box) -> bool:
    return box[0] >= frame[0] and box[1] >= frame[1] and box[2] <= frame[2] and box[3] <= frame[3]


def _meet(a: Box, b: Box) -> bool:
    return a[0] < b[2] and b[0] < a[2] and a[1] < b[3] and b[1] < a[3]
