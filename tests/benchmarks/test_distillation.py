"""The tables of docs/distillation.md come from the results, and the document holds the newest."""

import json
import sys
from pathlib import Path

import pytest

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"


@pytest.fixture(autouse=True)
def importable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "path", [str(BENCHMARKS), *sys.path])


def test_a_line_of_the_table() -> None:
    from distillation_tables import line

    teacher = {"params": 2000, "nonzero": 2000, "bytes": 8000, "macs": 4e9, "row": {"losses": ""}}
    quality = {"Set5": {"psnr": 30.123, "ssim": 0.87654}}
    row = teacher | {"nonzero": 1000, "quality": quality, "time": 0.5, "row": {"losses": "l1=1", "lr": 2e-4}}
    assert line("small", row, teacher) == (
        "| small, `l1=1` at 0.0002 | 2 (100%) | 1 (50%) | 8 (100%) | 4.0 (100%) | 50% |  | 30.12 / 0.8765 |"
    )


def test_the_document_is_up_to_date() -> None:
    from distillation_tables import BEGIN, DOCUMENT, END, conditions, table

    found = json.loads((BENCHMARKS / "results" / "distillation.json").read_text(encoding="utf-8"))
    text = DOCUMENT.read_text(encoding="utf-8")
    measured = text.split(BEGIN)[1].split(END)[0]
    assert conditions(found) in measured
    assert table(found["rows"]) in measured


def test_every_row_begins_somewhere() -> None:
    from distillation import ROWS

    from espalier.recipes.teaching import DistillConfig

    earlier: set[str] = set()
    for name, row in ROWS.items():
        assert row.begins in ({"", "fresh"} | earlier) or "=" in row.begins, name
        assert not row.losses or DistillConfig(losses=row.losses)
        earlier.add(name)
