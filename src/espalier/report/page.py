"""The page of one run: everything inlined, nothing fetched, under 5 MB."""

from collections.abc import Mapping, Sequence
from importlib.resources import files
from typing import Any

import jinja2
from markupsafe import Markup

from espalier import __version__
from espalier.report import charts, pictures
from espalier.report.folder import VERSIONS, Log, Run
from espalier.report.front import front_charts
from espalier.report.rows import Column, Row, cell, change, find, result, rows, used
from espalier.report.series import series
from espalier.report.summary import conditions, cut, sentence, title, training

EMPTY: dict[str, Any] = {
    "tiles": (), "table": (), "columns": (), "conditions": "", "pareto": (), "panels": (), "left_out": 0,
    "groups": (), "cut": "", "curves": (), "images": (), "image_versions": (), "details": (),
    "command": "", "scale": "scale", "luma": True, "versions": (), "first": "", "second": "", "top": 0.0,
}  # fmt: skip
"""A page with nothing on it; every part is shown only where it is filled."""

SECTIONS = (
    ("results", "Results", "table"),
    ("pictures", "Pictures", "panels"),
    ("front", "Front", "pareto"),
    ("channels", "Channels", "groups"),
    ("training", "Training", "curves"),
    ("details", "Details", "details"),
)


def render(run: Run) -> str:
    """The whole page as HTML."""
    table = rows(run)
    parts = {
        "title": title(run),
        "name": run.name,
        "sentence": sentence(run),
        "tiles": _tiles(table),
        **table_parts(table, conditions(run)),
        "pareto": front_charts([(row.version, row.version, row) for row in table], ("macs", "ms")),
        **_picture_parts(run),
        **_channel_parts(run),
        "curves": _curves(run),
        **_image_parts(run),
        "details": _details(run),
        "command": f"espalier {run.config.get('command', 'compress')} --config {run.path / 'config.yaml'}",
        "scale": run.metrics.get("scale", "scale"),
        "luma": run.metrics.get("y", True),
    }
    return fill(parts)


def fill(parts: Mapping[str, Any]) -> str:
    """Put `parts` into the template; style sheet and script are inlined."""
    folder = files("espalier.report")
    environment = jinja2.Environment(autoescape=True, undefined=jinja2.StrictUndefined)
    environment.filters["db"] = lambda value: "" if value is None else f"{value:.2f} dB"
    template = environment.from_string(folder.joinpath("page.html").read_text(encoding="utf-8"))
    values = {**EMPTY, **parts}
    return template.render(
        **values,
        contents=[(anchor, text) for anchor, text, part in SECTIONS if values[part]],
        stops=Markup(", ".join("rgb({}, {}, {})".format(*stop) for stop in pictures.HEAT)),
        style=Markup(folder.joinpath("page.css").read_text(encoding="utf-8")),
        script=Markup(folder.joinpath("page.js").read_text(encoding="utf-8")),
        version=__version__,
    )


def table_parts(table: Sequence[Row], note: str) -> dict[str, Any]:
    """The result table with the change against the dense row under each value."""
    columns = used(table)
    dense, made = find(table, "dense"), result(table)
    return {
        "columns": columns,
        "conditions": note,
        "table": [
            {
                "name": row.version,
                "style": row.version,
                "result": row is made,
                "link": "",
                "cells": [(cell(row, c), _change(row, dense, c)) for c in columns],
            }
            for row in table
        ],
    }


def _change(row: Row, dense: Row | None, column: Column) -> str:
    """Difference for quality, share for cost; empty for the dense row itself."""
    value = getattr(row, column.key)
    base = getattr(dense, column.key) if dense is not None and row is not dense else None
    if value is None or not base:
        return ""
    if column.key in ("psnr", "ssim"):
        return change(base, value, 2 if column.key == "psnr" else 4)
    return f"{value / base:.1%}"


def _tiles(table: Sequence[Row]) -> list[dict[str, Any]]:
    dense, made = find(table, "dense"), result(table)
    if dense is None or made is None:
        return []
    tiles = [_share_tile(label, dense, made, column) for label, column in _shares(table)]
    if dense.psnr is not None and made.psnr is not None:
        lost = f"{change(dense.psnr, made.psnr, 2)} dB"
        detail = f"{dense.psnr:.2f} dB dense → {made.psnr:.2f} dB {made.version}"
        tiles.append({"label": "PSNR", "value": lost, "detail": detail, "share": None})
    return tiles


SHARES = (("macs", "MACs kept"), ("params", "Parameters kept"), ("ms", "Time kept"))


def _shares(table: Sequence[Row]) -> list[tuple[str, Column]]:
    columns = {column.key: column for column in used(table)}
    return [(label, columns[key]) for key, label in SHARES if key in columns]


def _share_tile(label: str, dense: Row, made: Row, column: Column) -> dict[str, Any]:
    before, after = getattr(dense, column.key), getattr(made, column.key)
    share = after / before if before and after is not None else None
    unit = column.heading.partition(" ")[2].strip("[]")
    return {
        "label": label,
        "value": "–" if share is None else f"{share:.1%}",
        "detail": f"{cell(dense, column)} → {cell(made, column)} {unit}",
        "share": None if share is None else min(share, 1.0),
    }


def _picture_parts(run: Run) -> dict[str, Any]:
    panels, top = pictures.panels(run.crops)
    present = {p.version for panel in panels for p in panel.pictures}
    versions = [v for v in VERSIONS if v in present]
    return {
        "panels": panels,
        "top": top,
        "left_out": len(run.crops) - len(panels),
        "versions": versions,
        "first": next((v for v in ("dense", "bicubic") if v in present), versions[0] if versions else ""),
        "second": next((v for v in ("recovered", "pruned", "original") if v in present), ""),
    }


def _channel_parts(run: Run) -> dict[str, Any]:
    choices = run.plan.choices if run.plan else ()
    return {
        "cut": cut(run),
        "groups": [
            {
                "name": choice.group,
                "channels": choice.channels,
                "kept": len(choice.kept),
                "share": len(choice.kept) / choice.channels,
                "barcode": Markup(charts.barcode(choice.channels, choice.kept)),
            }
            for choice in choices
        ],
    }


def _curves(run: Run) -> list[dict[str, Any]]:
    """Of the method's phases and of the run's own training; logs of a single line are left out."""
    own = "recovery" if "recovered" in run.metrics.get("rows", {}) else "training"
    logs = {**run.phases, own: run.log} if own == "recovery" else {own: run.log, **run.phases}
    found = [{"name": name, "told": training(log), "charts": _charts(log)} for name, log in logs.items()]
    return [phase for phase in found if phase["charts"]]


def _charts(log: Log) -> list[Markup]:
    return [
        Markup(charts.curve(points, "step", heading, f"{heading} over the steps of training"))
        for heading, points in series(log).items()
        if len(points) > 1
    ]


def _image_parts(run: Run) -> dict[str, Any]:
    measured = run.metrics.get("rows", {})
    versions = [v for v in VERSIONS if measured.get(v, {}).get("images")]
    by_version = {v: {i["name"]: i["psnr"] for i in measured[v]["images"]} for v in versions}
    names = list(by_version[versions[0]]) if versions else []
    return {
        "image_versions": versions,
        "images": [(name, [_number(by_version[v].get(name)) for v in versions]) for name in names],
    }


def _number(value: float | None) -> str:
    return "–" if value is None else f"{value:.2f}"


def _details(run: Run) -> list[tuple[str, list[tuple[str, str]]]]:
    blocks = [
        ("Settings", run.config),
        ("Plan", run.plan.notes if run.plan else {}),
        ("Environment", run.environment),
    ]
    return [(heading, [(k, str(v)) for k, v in facts.items()]) for heading, facts in blocks if facts]
