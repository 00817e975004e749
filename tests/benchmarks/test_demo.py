"""The README's tables are those of the last measurement."""

from pathlib import Path

from tests.benchmarks.conftest import Script

ROOT = Path(__file__).parents[2]


def test_the_pages_show_what_was_measured(script: Script) -> None:
    demo, defaults, kept, calibrated = map(script, ("demo", "defaults", "kept", "calibrated_tables"))
    readme, recover = ((ROOT / page).read_text(encoding="utf-8") for page in ("README.md", "docs/recover.md"))
    cells = kept.read(demo.RESULTS)
    assert f"<!-- benchmarks/demo.py -->\n{demo.front(cells[0])}" in readme
    assert f"<!-- benchmarks/demo.py -->\n{demo.ways(cells)}" in recover
    assert f"<!-- benchmarks/defaults.py -->\n{defaults.front(kept.read(defaults.RESULTS))}" in readme
    without = calibrated.front(kept.read("calibrated.json"))
    assert f"<!-- benchmarks/calibrated_tables.py -->\n{without}" in readme


def test_only_the_table_behind_a_mark_is_replaced(script: Script, tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("one\n\n<!-- benchmarks/demo.py -->\n| old |\n| --- |\n\n| kept |\n")
    pages = script("pages")
    pages.put(page, pages.markdown(["new", "n"], [["a", "1"]]), "demo")
    assert page.read_text() == (
        "one\n\n<!-- benchmarks/demo.py -->\n| new | n |\n| --- | ---: |\n| a | 1 |\n\n| kept |\n"
    )
    before = page.read_text()
    pages.put(page, "| x |\n", "defaults")
    assert page.read_text() == before


def test_a_row_of_the_defaults(script: Script) -> None:
    row = {
        "network": "IMDN_x4", "scale": 4, "cpu_seconds": 245, "params": [715_176, 358_000], "macs": [41.1e9, 20.5e9],
        "psnr": {"bicubic": 28.4, "dense": 32.21, "pruned": 31.76, "recovered": 31.9},
    }  # fmt: skip
    shown = "| IMDN ×4 | 715 → 358 | 41.1 → 20.5 | 32.21 | 31.76 | 31.90 | 4 min |"
    assert script("defaults").front([row]).splitlines()[2] == shown
