"""One page that compares several runs."""

from collections.abc import Sequence
from typing import Any

from markupsafe import Markup

from espalier.report import charts
from espalier.report.charts import Dot
from espalier.report.folder import Run
from espalier.report.page import fill
from espalier.report.rows import COLUMNS, Column, Row, cell, find, result, rows, used
from espalier.report.summary import conditions, title

COSTS = ("macs", "params", "ms")


def render(runs: Sequence[Run]) -> str:
    """The page as HTML: what each run delivers, and quality against each cost."""
    named = _named(runs)
    return fill(
        {
            "title": f"{len(runs)} runs compared",
            "name": ", ".join(run.name for run in runs),
            "sentence": _sentence(named),
            "columns": used([row for _, _, row in named]),
            "conditions": conditions(runs[0], compared=False),
            "table": _table(named),
            "pareto": _charts(named),
            "details": [(run.name, [(k, str(v)) for k, v in run.config.items()]) for run in runs],
            "scale": runs[0].metrics.get("scale", "scale"),
            "luma": runs[0].metrics.get("y", True),
        }
    )


def _named(runs: Sequence[Run]) -> list[tuple[str, str, Row]]:
    """Name, style and row: each different dense network once, then what every run made."""
    named: list[tuple[str, str, Row]] = []
    for run in runs:
        dense = find(rows(run), "dense")
        if dense is not None and not any(row == dense for _, _, row in named):
            named.append((f"{title(run)}, dense", "dense", dense))
    for run in runs:
        made = result(rows(run))
        if made is not None:
            named.append((run.name, made.version, made))
    return named


def _sentence(named: Sequence[tuple[str, str, Row]]) -> str:
    measured = [(name, row) for name, style, row in named if style != "dense" and row.psnr is not None]
    if not measured:
        return "None of these runs has been measured."
    name, best = max(measured, key=lambda pair: pair[1].psnr or 0.0)
    return f"{name} has the highest PSNR, {best.psnr:.2f} dB."


def _table(named: Sequence[tuple[str, str, Row]]) -> list[dict[str, Any]]:
    columns = used([row for _, _, row in named])
    return [
        {"name": name, "style": style, "result": False, "cells": [(cell(row, c), "") for c in columns]}
        for name, style, row in named
    ]


def _charts(named: Sequence[tuple[str, str, Row]]) -> list[Markup]:
    columns = {column.key: column for column in COLUMNS}
    return [chart for key in COSTS if (chart := _chart(named, columns[key])) is not None]


def _chart(named: Sequence[tuple[str, str, Row]], column: Column) -> Markup | None:
    dots = [
        Dot(float(column.write(getattr(row, column.key)).replace(",", "")), row.psnr, name, style)
        for name, style, row in named
        if row.psnr is not None and getattr(row, column.key) is not None
    ]
    if len(dots) < 2:
        return None
    return Markup(charts.scatter(dots, column.heading, "PSNR [dB]", f"PSNR against {column.heading}"))
