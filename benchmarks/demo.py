"""The tables of README.md and docs/recover.md: the bundled EDSR x2 at half the MACs, recovered in several ways.

python benchmarks/demo.py            # some minutes; writes benchmarks/results/demo.json, then the tables
python benchmarks/demo.py --tables   # the tables alone
"""

import argparse
import dataclasses
import tempfile
import time
from pathlib import Path
from typing import Any

import torch
from kept import keep, read
from pages import markdown, put

from espalier.recipes.demo import demo
from espalier.report import folder
from espalier.report import rows as report

HERE = Path(__file__).parent
RESULTS = "demo.json"
WAYS = [("calibrated", "soap"), ("calibrated", "adam"), ("magnitude", "soap"), ("magnitude", "adam")]
STEPS = 200
SHOWN = {"psnr", "ssim", "params", "macs", "activations"}
LABELS = {"pruned": "pruned to half the MACs"}


def cell(method: str, optimizer: Any, out: Path) -> dict[str, Any]:
    """What the demo's settings give, with another method or optimizer."""
    how: dict[str, Any] = {"method": method, "optimizer": optimizer, "recover": STEPS}
    began = time.process_time()
    demo(out, **how, timing=False)
    seconds = round(time.process_time() - began, 1)
    rows = [dataclasses.asdict(row) for row in report.rows(folder.read(out))]
    return {**how, "cpu_seconds": seconds, "rows": rows, "torch": torch.__version__}


def front(cell: dict[str, Any]) -> str:
    """The table of the README."""
    columns = [column for column in report.COLUMNS if column.key in SHOWN]
    lines = [
        [LABELS.get(row["version"], row["version"]), *(written(column, row) for column in columns)]
        for row in cell["rows"]
    ]
    return markdown(["", *(column.heading for column in columns)], lines)


def written(column: report.Column, row: dict[str, Any]) -> str:
    value = row[column.key]
    return "" if value is None else column.write(value)


def ways(cells: list[dict[str, Any]]) -> str:
    """The table of docs/recover.md."""
    lines = []
    for cell in cells:
        psnr = {row["version"]: f"{row['psnr']:.2f}" for row in cell["rows"]}
        lines.append([cell["method"], cell["optimizer"], psnr["dense"], psnr["pruned"], psnr["recovered"]])
    return markdown(["cut by", "recovered by", "dense", "pruned", "recovered"], lines)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--tables", action="store_true")
    if not parser.parse_args().tables:
        with tempfile.TemporaryDirectory() as place:
            cells = [
                cell(method, optimizer, Path(place) / f"{method}-{optimizer}") for method, optimizer in WAYS
            ]
        keep(RESULTS, cells, by=["method", "optimizer"])
    cells = read(RESULTS)
    put(HERE.parent / "README.md", front(cells[0]), "demo")
    put(HERE.parent / "docs" / "recover.md", ways(cells), "demo")


if __name__ == "__main__":
    main()
