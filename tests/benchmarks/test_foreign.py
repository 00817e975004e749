"""The page of networks outside the survey."""

import importlib
import sys
from pathlib import Path

import pytest

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"


def test_one_network_is_measured_and_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    before = set(sys.modules)
    foreign = importlib.import_module("foreign")
    try:
        row = foreign.measure("tests.foreign.convolutions:coupling")
    finally:
        for name in set(sys.modules) - before:
            if str(getattr(sys.modules[name], "__file__", "")).startswith(str(BENCHMARKS)):
                del sys.modules[name]
    assert row["proven"]
    assert row["reload"] == 0
    assert row["macs"][0] > 3 * row["macs"][1]
    page = foreign.page({"coupling": row, "wrong": row | {"proven": False}})
    assert "| coupling |" in page
    assert "**no**" in page
