"""The README's tables are those of the last measurement."""

import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).parents[2]
NAMES = ("demo", "defaults", "calibrated", "rival", "drawings")


@pytest.fixture
def scripts(monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[str, ModuleType]]:
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))
    yield {name: __import__(name) for name in NAMES}
    for name in NAMES:
        sys.modules.pop(name, None)


def test_the_pages_show_what_was_measured(scripts: dict[str, ModuleType]) -> None:
    demo, defaults = scripts["demo"], scripts["defaults"]
    readme, recover = ((ROOT / page).read_text(encoding="utf-8") for page in ("README.md", "docs/recover.md"))
    cells = demo.measured()
    assert f"<!-- benchmarks/demo.py -->\n{demo.front(cells[0])}" in readme
    assert f"<!-- benchmarks/demo.py -->\n{demo.ways(cells)}" in recover
    assert f"<!-- benchmarks/defaults.py -->\n{defaults.front(defaults.measured())}" in readme


def test_only_the_table_behind_a_mark_is_replaced(scripts: dict[str, ModuleType], tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("one\n\n<!-- benchmarks/demo.py -->\n| old |\n| --- |\n\n| kept |\n")
    scripts["demo"].put(page, scripts["demo"].table(["new", "n"], [["a", "1"]]))
    assert page.read_text() == (
        "one\n\n<!-- benchmarks/demo.py -->\n| new | n |\n| --- | ---: |\n| a | 1 |\n\n| kept |\n"
    )
    before = page.read_text()
    scripts["demo"].put(page, "| x |\n", "defaults")
    assert page.read_text() == before


def test_a_row_of_the_defaults(scripts: dict[str, ModuleType]) -> None:
    row = {
        "network": "IMDN_x4", "scale": 4, "cpu_seconds": 245, "params": [715_176, 358_000], "macs": [41.1e9, 20.5e9],
        "psnr": {"bicubic": 28.4, "dense": 32.21, "pruned": 31.76, "recovered": 31.9},
    }  # fmt: skip
    shown = "| IMDN ×4 | 715 → 358 | 41.1 → 20.5 | 32.21 | 31.76 | 31.90 | 4 min |"
    assert scripts["defaults"].front([row]).splitlines()[2] == shown
