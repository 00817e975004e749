"""One page that compares several runs."""

from collections.abc import Sequence
from typing import Any

from espalier.report.folder import Run
from espalier.report.front import Named, front_charts
from espalier.report.page import fill
from espalier.report.rows import cell, find, result, rows, used
from espalier.report.summary import conditions, title


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
            "pareto": front_charts(named),
            "details": [(run.name, [(k, str(v)) for k, v in run.config.items()]) for run in runs],
            "scale": runs[0].metrics.get("scale", "scale"),
            "luma": runs[0].metrics.get("y", True),
        }
    )


def _named(runs: Sequence[Run]) -> list[Named]:
    """Name, style and row: each different dense network once, then what every run made."""
    named: list[Named] = []
    for run in runs:
        dense = find(rows(run), "dense")
        if dense is not None and not any(row == dense for _, _, row in named):
            named.append((f"{title(run)}, dense", "dense", dense))
    for run in runs:
        made = result(rows(run))
        if made is not None:
            named.append((run.name, made.version, made))
    return named


def _sentence(named: Sequence[Named]) -> str:
    measured = [(name, row) for name, style, row in named if style != "dense" and row.psnr is not None]
    if not measured:
        return "None of these runs has been measured."
    name, best = max(measured, key=lambda pair: pair[1].psnr or 0.0)
    return f"{name} has the highest PSNR, {best.psnr:.2f} dB."


def _table(named: Sequence[Named]) -> list[dict[str, Any]]:
    columns = used([row for _, _, row in named])
    return [
        {"name": name, "style": style, "result": False, "cells": [(cell(row, c), "") for c in columns]}
        for name, style, row in named
    ]
