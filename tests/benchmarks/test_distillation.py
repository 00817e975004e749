"""The tables of docs/distillation.md come from the results, and the document holds the newest."""

import json
from types import ModuleType

import pytest

from espalier.recipes.teaching import DistillConfig
from tests.benchmarks.conftest import FOLDER, Script


@pytest.fixture
def tables(script: Script) -> ModuleType:
    return script("distillation_tables")


def test_a_line_of_the_table(tables: ModuleType) -> None:
    teacher = {"params": 2000, "nonzero": 2000, "bytes": 8000, "macs": 4e9, "row": {"losses": ""}}
    quality = {"Set5": {"psnr": 30.123, "ssim": 0.87654}}
    row = teacher | {"nonzero": 1000, "quality": quality, "time": 0.5, "row": {"losses": "l1=1", "lr": 2e-4}}
    assert tables.line("small", row, teacher) == (
        "| small, `l1=1` at 0.0002 | 2 (100%) | 1 (50%) | 8 (100%) | 4.0 (100%) | 50% |  | 30.12 / 0.8765 |"
    )


def test_the_document_is_up_to_date(tables: ModuleType) -> None:
    found = json.loads((FOLDER / "results" / "distillation.json").read_text(encoding="utf-8"))
    text = tables.DOCUMENT.read_text(encoding="utf-8")
    assert text.split(tables.BEGIN)[1].split(tables.END)[0].strip() == tables.measured(found)


def test_the_best_of_each_size(tables: ModuleType) -> None:
    def row(stored: int, time: float, psnr: float) -> dict:
        return {"bytes": stored, "time": time, "quality": {"a": {"psnr": psnr}, "b": {"psnr": psnr + 2}}}

    rows = {
        "teacher": row(1000, 1.0, 30.0),
        "as large and better": row(1000, 1.0, 31.0),
        "half": row(500, 0.9, 29.0),
        "larger and worse": row(600, 0.9, 28.0),
        "small": row(200, 1.0, 20.0),
    }
    assert tables.front(rows, "bytes") == [
        "small (20%, 21.00 dB)",
        "half (50%, 30.00 dB)",
        "as large and better (100%, 32.00 dB)",
    ]
    assert (
        "**Per millisecond**, from the fastest on, each better than all before: half (90%"
        in tables.fronts(rows)
    )


def test_every_row_begins_somewhere(script: Script) -> None:
    earlier: set[str] = set()
    for name, row in script("distillation").ROWS.items():
        assert row.begins in ({"", "fresh"} | earlier) or "=" in row.begins, name
        assert not row.losses or DistillConfig(losses=row.losses)
        earlier.add(name)
