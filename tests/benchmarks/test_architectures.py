"""The survey's rows exist, and its page tells what was measured."""

from pathlib import Path

from espalier.networks.load import load
from tests.benchmarks.conftest import Script


def test_there_are_37_rows_and_growing_ones_grow(script: Script) -> None:
    survey = script("rows")
    assert len(survey.ROWS) == len({row.name for row in survey.ROWS}) == 37
    assert all(row.reference.endswith(")") for row in survey.ROWS)
    for family in survey.GROWING:
        once, twice = (sum(p.numel() for p in load(survey.grown(family, k)).parameters()) for k in (1, 2))
        assert 1.5 * once < twice < 2 * once + 1


def test_the_page_tells_success_failure_and_why(script: Script, tmp_path: Path) -> None:
    good = {
        "graph_s": 0.1, "analyse_s": 0.5, "share": 1.0, "proven": True, "difference": 2e-16, "reason": "",
        "runs": True, "params": [100, 25], "macs": [300, 100], "reload": 0.0, "held_back": {"bmm": [0.4, 2.0]},
    }  # fmt: skip
    broken = {"runs": False, "reason": "step: IndexError: a | b", "graph_s": 0.2}
    results = {"rows": {"net": {"espalier": good, "torch-pruning": broken}}, "growth": {"net": {}}}
    for times, turns in {"1": [0.3, 0.2, 0.25], "2": [0.4, 0.5, 0.6]}.items():
        results["growth"]["net"][times] = {"analyse_s": sorted(turns)[1], "turns": turns}
    script("tables").write_architectures(results, tmp_path / "page.md")
    page = (tmp_path / "page.md").read_text()
    assert "| net | 0.1 | 0.5 | 3.00× | 4.00× | 2e-16 | 100.0% | 0 | 0.2 | - | fails |" in page
    assert "| net | step: IndexError: a / b |" in page
    assert "40% of the MACs are bmm, 2.0× fewer" in page
    assert "| net | 0.25 (0.20 to 0.30) | 0.50 (0.40 to 0.60) | 2.00 |" in page
    assert "1 of 1 run, proven" in page
