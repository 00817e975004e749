"""Quality against cost: one chart per cost."""

from collections.abc import Sequence

from markupsafe import Markup

from espalier.report.charts import Dot, scatter
from espalier.report.rows import COLUMNS, Column, Row

Named = tuple[str, str, Row]
"""Name, style, and row."""


def front_charts(named: Sequence[Named], costs: Sequence[str] = ("macs", "params", "ms")) -> list[Markup]:
    """PSNR against each cost that at least two rows have; bicubic costs nothing that is counted."""
    columns = {column.key: column for column in COLUMNS}
    return [chart for key in costs if (chart := _chart(named, columns[key])) is not None]


def _chart(named: Sequence[Named], column: Column) -> Markup | None:
    dots = [
        Dot(0.0 if style == "bicubic" else _value(row, column), row.psnr, name, style)
        for name, style, row in named
        if row.psnr is not None and (style == "bicubic" or getattr(row, column.key) is not None)
    ]
    if sum(dot.style != "bicubic" for dot in dots) < 2:
        return None
    return Markup(scatter(dots, column.heading, "PSNR [dB]", f"PSNR against {column.heading}"))


def _value(row: Row, column: Column) -> float:
    """In the units of the heading."""
    return float(column.write(getattr(row, column.key)).replace(",", ""))
