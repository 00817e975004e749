"""What a generator is at each stage of its compression: quality, and size in every way that it can be counted."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from rich.markup import escape
from rich.table import Table

from espalier.data import PackedImages
from espalier.evaluation.upscale import by_network
from espalier.files import write_text
from espalier.networks.network import Network
from espalier.recipes import measure, run
from espalier.recipes.console import output
from espalier.report import folder
from espalier.sparsity import size

JSON, MARKDOWN = "stages.json", "stages.md"
COLUMNS = {
    "psnr": ("PSNR [dB]", 1, 2),
    "ssim": ("SSIM", 1, 4),
    "bytes": ("Stored [kB]", 1e3, 0),
    "nonzero": ("Non-zero [k]", 1e3, 1),
    "params": ("Params [k]", 1e3, 1),
    "macs": ("MACs [G]", 1e9, 2),
    "ms": ("Time [ms]", 1, 1),
}
"""Key of a row -> heading, unit, digits."""

Rows = Mapping[str, Mapping[str, Any]]


def measured(made: Mapping[str, Network], test: PackedImages, *, timing: bool) -> Rows:
    """One row per stage."""
    networks = {name: network.eval() for name, network in made.items()}
    costs = measure.costs(networks, timed=timing)["rows"]
    quality = measure.quality_of_images({n: by_network(each) for n, each in networks.items()}, test)
    rows = {}
    for name, network in networks.items():
        found = size(network)
        sizes = {"bytes": found.bytes, "nonzero": found.nonzero}
        rows[name] = {**costs[name], **quality[name].to_dict()["mean"], **sizes}
    return rows


def write(out: Path, rows: Rows) -> None:
    """The rows for programs, and as a table."""
    run.write_json(out / JSON, rows)
    lines = [_line(["", *_headings(rows)]), _line(["---", *("---:" for _ in _headings(rows))])]
    lines += [_line([name, *cells]) for name, cells in table(rows)]
    write_text(out / MARKDOWN, "\n".join(lines) + "\n")


def show(rows: Rows, out: Path) -> None:
    """Print the table and where everything is."""
    shown = Table(box=None, pad_edge=False, header_style="bold")
    for heading in ("", *_headings(rows)):
        shown.add_column(escape(heading), justify="right" if heading else "left")
    for name, cells in table(rows):
        shown.add_row(name, *cells)
    console = output()
    console.print(shown)
    console.print(f"\n{out / folder.NETWORK}\n{out / folder.PAGE}", soft_wrap=True, markup=False)


def table(rows: Rows) -> list[tuple[str, list[str]]]:
    """Stage and its values, written; sizes with their share of the first stage's."""
    first = next(iter(rows.values()))
    return [(name, [_cell(key, row, first) for key in _used(rows)]) for name, row in rows.items()]


def _cell(key: str, row: Mapping[str, Any], first: Mapping[str, Any]) -> str:
    _, unit, digits = COLUMNS[key]
    text = f"{row[key] / unit:,.{digits}f}"
    return text if key in ("psnr", "ssim") or row is first else f"{text} ({row[key] / first[key]:.0%})"


def _used(rows: Rows) -> list[str]:
    return [key for key in COLUMNS if all(row.get(key) is not None for row in rows.values())]


def _headings(rows: Rows) -> list[str]:
    return [COLUMNS[key][0] for key in _used(rows)]


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"
