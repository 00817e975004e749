"""One page that compares several runs."""

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from espalier.report.folder import PAGE, Run
from espalier.report.front import Named, front_charts
from espalier.report.page import fill
from espalier.report.pick import candidates, smallest, verdict
from espalier.report.rows import Row, cell, find, result, rows, used
from espalier.report.summary import conditions, title

SERIES = 6
"""Colours in the style sheet for methods."""


def render(
    runs: Sequence[Run],
    *,
    max_loss: float | None = None,
    beside: Path | None = None,
    missing: Mapping[str, str] | None = None,
) -> str:
    """The page as HTML: what each run delivers, and quality against each cost.

    Args:
        max_loss: name the smallest network that loses at most this many dB.
        beside: folder that the page will lie in; runs below it are linked.
        missing: what could not be made, and why.
    """
    named = _alike(runs, _named(runs))
    best = None if max_loss is None else smallest(candidates(runs), max_loss)
    details = [(run.name, [(k, str(v)) for k, v in run.config.items()]) for run in runs]
    return fill(
        {
            "title": f"{len(runs)} runs compared" if len(runs) != 1 else title(runs[0]),
            "name": ", ".join(run.name for run in runs),
            "sentence": _sentence(named) if max_loss is None else verdict(candidates(runs), max_loss),
            "columns": used([row for _, _, row in named]),
            "conditions": _conditions(runs),
            "table": _table(named, {} if beside is None else _links(runs, beside), best and best.name),
            "pareto": front_charts(named),
            "details": [*([("Not made", list(missing.items()))] if missing else []), *details],
            "scale": runs[0].metrics.get("scale", "scale"),
            "luma": runs[0].metrics.get("y", True),
        }
    )


def _named(runs: Sequence[Run]) -> list[Named]:
    """Name, style and row: each different dense network once, then what every run made."""
    named: list[Named] = []
    for run in runs:
        dense = find(rows(run), "dense")
        if dense is not None and not any(_same(row, dense) for _, _, row in named):
            named.append((f"{title(run)}, dense", "dense", dense))
    methods = list(dict.fromkeys(run.config.get("method") for run in runs))
    for run in runs:
        made = result(rows(run))
        if made is not None:
            number = methods.index(run.config.get("method")) % SERIES
            named.append((run.name, f"series-{number}" if len(methods) > 1 else made.version, made))
    return named


def _same(a: Row, b: Row) -> bool:
    """Whether two rows are of one network; time and memory were measured anew in each run."""
    return _lasting(a) == _lasting(b)


def _lasting(row: Row) -> Row:
    return dataclasses.replace(row, ms=None, ms_spread=None, memory=None)


def _alike(runs: Sequence[Run], named: Sequence[Named]) -> list[Named]:
    """Times brought to one measurement of the dense network, since each run timed its own beside it."""
    dense = [row for _, style, row in named if style == "dense"]
    scaled = {run.name: _factor(run, dense) for run in runs}
    return [
        (name, style, dataclasses.replace(row, ms=row.ms * scaled.get(name, 1.0)) if row.ms else row)
        for name, style, row in named
    ]


def _factor(run: Run, dense: Sequence[Row]) -> float:
    own = find(rows(run), "dense")
    shown = next((row for row in dense if own is not None and _same(row, own)), None)
    return shown.ms / own.ms if shown is not None and own is not None and shown.ms and own.ms else 1.0


def _conditions(runs: Sequence[Run]) -> str:
    timed = sum("latency_size" in run.cost for run in runs) > 1
    note = (
        " Each run timed the dense network beside its own; times are scaled to the first of these."
        if timed
        else ""
    )
    return conditions(runs[0], compared=False) + note


def _sentence(named: Sequence[Named]) -> str:
    measured = [(name, row) for name, style, row in named if style != "dense" and row.psnr is not None]
    if not measured:
        return "None of these runs has been measured."
    name, best = max(measured, key=lambda pair: pair[1].psnr or 0.0)
    return f"{name} has the highest PSNR, {best.psnr:.2f} dB."


def _links(runs: Sequence[Run], folder: Path) -> dict[str, str]:
    """Run name to its own page, where that lies below `folder`."""
    pages = ((run.name, run.path / PAGE) for run in runs)
    return {
        name: page.resolve().relative_to(folder.resolve()).as_posix()
        for name, page in pages
        if page.is_file() and page.resolve().is_relative_to(folder.resolve())
    }


def _table(named: Sequence[Named], links: Mapping[str, str], best: str | None) -> list[dict[str, Any]]:
    columns = used([row for _, _, row in named])
    return [
        {
            "name": name,
            "style": style,
            "result": name == best,
            "link": links.get(name, ""),
            "cells": [(cell(row, c), "") for c in columns],
        }
        for name, style, row in named
    ]
