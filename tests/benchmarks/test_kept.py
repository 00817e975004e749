"""Measured rows are kept, and replaced by what names them."""

import json
from pathlib import Path
from types import ModuleType

import pytest

from tests.benchmarks.conftest import Script


@pytest.fixture
def kept(script: Script, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    module = script("kept")
    monkeypatch.setattr(module, "RESULTS", tmp_path)
    return module


def test_a_row_takes_the_place_of_the_one_of_its_name(kept: ModuleType) -> None:
    assert kept.read("rows.json") == []
    first, second, other = (
        {"name": n, "seed": s, "psnr": p} for n, s, p in (("a", 0, 30), ("a", 0, 31), ("a", 1, 32))
    )
    kept.keep("rows.json", [first, other], by=["name", "seed"])
    kept.keep("rows.json", [second], by=["name", "seed"])
    assert kept.read("rows.json") == [other, second]
    assert kept.find("rows.json", {"name": "a", "seed": 0}) == second
    assert kept.find("rows.json", {"name": "b"}) is None


def test_rows_beside_the_environment_they_were_measured_in(kept: ModuleType) -> None:
    assert kept.rows("cells.json") == []
    kept.add("cells.json", {"psnr": 30})
    kept.add("cells.json", {"psnr": 31})
    assert kept.rows("cells.json") == [{"psnr": 30}, {"psnr": 31}]
    assert "torch" in json.loads((kept.RESULTS / "cells.json").read_text(encoding="utf-8"))["environment"]
