"""Charts as inline SVG; colours come from the page's style sheet, so that they follow its theme."""

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

from espalier.report.labels import Label, place
from espalier.report.scale import Axis, axis, label, thin, ticks

Points = Sequence[tuple[float, float]]

WIDTH, HEIGHT = 640, 300
LEFT, RIGHT, TOP, BOTTOM = 56, 16, 16, 44


@dataclass(frozen=True)
class Dot:
    """One network in a scatter chart."""

    x: float
    y: float
    name: str
    style: str
    """Class of the style sheet that gives the colour."""


def curve(points: Points, x_label: str, y_label: str, name: str) -> str:
    """A line chart of one measured quantity, at most 400 points drawn."""
    drawn = thin(points, 400)
    x = _span([p[0] for p in drawn])
    y = axis([p[1] for p in drawn], HEIGHT - BOTTOM, TOP)
    path = "M" + "L".join(f"{x(a):.1f} {y(b):.1f}" for a, b in drawn)
    few = drawn if len(drawn) <= 40 else ()
    marks = "".join(_mark(x(a), y(b), f"{x_label} {a:,.0f}: {b:.5g}") for a, b in few)
    return _frame(name, _grid(x, y, x_label, y_label) + f'<path class="line" d="{path}"/>' + marks)


def scatter(dots: Sequence[Dot], x_label: str, y_label: str, name: str) -> str:
    """Quality against cost: a dot per network, dots of one style joined, the Pareto front drawn.

    Names stand where there is room, those on the front first; each dot tells its own when pointed at.
    """
    x = axis([0.0, *(d.x for d in dots)], LEFT, WIDTH - RIGHT, margin=0.06)
    y = axis([d.y for d in dots], HEIGHT - BOTTOM, TOP, margin=0.12)
    front = _front(dots)
    centres = [(x(d.x), y(d.y)) for d in dots]
    order = sorted(range(len(dots)), key=lambda k: dots[k] not in front)
    labels = place(centres, [d.name for d in dots], (LEFT, 0, WIDTH - 4, HEIGHT - BOTTOM), order)
    line = "L".join(f"{x(d.x):.1f} {y(d.y):.1f}" for d in front)
    body = f'<path class="front" d="M{line}"/>'
    body += "".join(_joined([c for c, d in zip(centres, dots) if d.style == s], s) for s in _styles(dots))
    body += "".join(_dot(c, d, label) for c, d, label in zip(centres, dots, labels))
    return _frame(name, _grid(x, y, x_label, y_label) + body)


def _styles(dots: Sequence[Dot]) -> list[str]:
    return list(dict.fromkeys(dot.style for dot in dots))


def _joined(centres: Sequence[tuple[float, float]], style: str) -> str:
    if len(centres) < 2:
        return ""
    path = "L".join(f"{x:.1f} {y:.1f}" for x, y in sorted(centres))
    return f'<path class="same {escape(style)}" d="M{path}"/>'


def barcode(channels: int, kept: Sequence[int]) -> str:
    """One tick per channel, in place: those that stay are strong, those that went are faint."""
    staying = set(kept)
    runs = _runs([c in staying for c in range(channels)])
    bars = "".join(f"M{a} 0h{b - a}v1h-{b - a}z" for a, b in runs)
    return (
        f'<svg class="barcode" viewBox="0 0 {channels} 1" preserveAspectRatio="none" role="img" '
        f'aria-label="{len(staying)} of {channels} channels stay">'
        f'<rect class="gone" width="{channels}" height="1"/><path class="kept" d="{bars}"/></svg>'
    )


def _runs(flags: Sequence[bool]) -> list[tuple[int, int]]:
    """Half-open intervals in which the flag is set."""
    edges = [k for k in range(len(flags) + 1) if (k < len(flags) and flags[k]) != (k > 0 and flags[k - 1])]
    return list(zip(edges[::2], edges[1::2]))


def _span(values: Sequence[float]) -> Axis:
    low, high = min(values), max(values)
    return Axis(low, high if high > low else low + 1, LEFT, WIDTH - RIGHT)


def _frame(name: str, body: str) -> str:
    return (
        f'<svg class="chart" viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{escape(name)}">'
        f"<title>{escape(name)}</title>{body}</svg>"
    )


def _grid(x: Axis, y: Axis, x_label: str, y_label: str) -> str:
    right, bottom = WIDTH - RIGHT, HEIGHT - BOTTOM
    across = "".join(
        f'<line x1="{LEFT}" x2="{right}" y1="{y(v):.1f}" y2="{y(v):.1f}"/>'
        f'<text class="y" x="{LEFT - 8}" y="{y(v) + 4:.1f}">{label(v)}</text>'
        for v in ticks(y.low, y.high)
    )
    along = "".join(
        f'<text class="x" x="{x(v):.1f}" y="{bottom + 18}">{label(v)}</text>' for v in ticks(x.low, x.high, 6)
    )
    names = (
        f'<text class="x name" x="{(LEFT + right) / 2}" y="{HEIGHT - 6}">{escape(x_label)}</text>'
        f'<text class="name" x="{LEFT}" y="{TOP - 4}">{escape(y_label)}</text>'
    )
    return f'<g class="grid">{across}{along}{names}</g>'


def _mark(x: float, y: float, text: str) -> str:
    return f'<circle class="mark" cx="{x:.1f}" cy="{y:.1f}" r="3"><title>{escape(text)}</title></circle>'


def _front(dots: Sequence[Dot]) -> list[Dot]:
    """Those that no other beats in both, by cost."""
    best: list[Dot] = []
    for dot in sorted(dots, key=lambda d: (d.x, -d.y)):
        if not best or dot.y > best[-1].y:
            best.append(dot)
    return best


def _dot(centre: tuple[float, float], dot: Dot, label: Label | None) -> str:
    x, y = centre
    text = (
        f'<text x="{label.x:.1f}" y="{label.y:.1f}" text-anchor="{label.anchor}">{escape(dot.name)}</text>'
        if label
        else ""
    )
    return (
        f'<g class="dot {escape(dot.style)}"><circle cx="{x:.1f}" cy="{y:.1f}" r="6">'
        f"<title>{escape(dot.name)}: {dot.x:.4g}, {dot.y:.4g}</title></circle>{text}</g>"
    )
