"""The page on structured methods, from rows as the benchmark writes them; cells of equal cost."""

import json
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from tests.benchmarks.conftest import Script


@pytest.fixture
def bench(script: Script) -> ModuleType:
    return script("structured")


def row(method: str, ratio: float, psnr: float, seed: int = 0, **removal: float) -> dict[str, Any]:
    return {
        "preset": "small", "method": method, "ratio": ratio, "seed": seed, "steps": 10, "learned": 5, "macs": 0.25,
        "params": 0.3, "removal": removal, "pruned": {"Set5": psnr - 1}, "psnr": {"Set5": psnr, "Set14": psnr - 2},
    }  # fmt: skip


def test_the_page_has_means_over_seeds_the_best_in_bold_and_removal(
    bench: ModuleType, tmp_path: Path
) -> None:
    notes = {"psnr before removal": 30.0, "psnr after removal": 29.99}
    rows = [
        row("dense", 0.0, 37.4),
        row("l1", 0.5, 35.0),
        row("l1", 0.5, 36.0, seed=1),
        row("assl", 0.5, 36.25, **notes),
        row("assl", 0.5, 36.5, seed=1, **notes),
        row("l1", 0.9, 31.0),
    ]
    environment = {"espalier": "0", "torch": "2", "device": "CPU"}
    (tmp_path / "rows.json").write_text(json.dumps({"environment": environment, "rows": rows}))
    bench.write_tables(tmp_path / "rows.json", tmp_path / "page.md")
    page = (tmp_path / "page.md").read_text()
    assert "The dense network has 37.40 on Set5, 35.40 on Set14" in page
    assert "| L1 norm (`magnitude`) | 35.00 | **31.00** |" in page
    assert "| L1 norm (`magnitude`) | 33.00 | **29.00** |" in page
    assert "| `assl` | **36.25** |  |" in page
    assert "| `assl` | 36.38 (36.25 to 36.50; 2) |" in page
    assert "| `assl` over L1 norm (`magnitude`) | +0.88 (+0.09) |  |" in page
    assert page.count("| EDSR x2 | `assl` | 50% | 25% | 5 | 30.000 | 29.990 | -0.010 |") == 1


def test_the_largest_set_is_left_out_where_little_was_cut(bench: ModuleType) -> None:
    made = bench.Bench("small", bench.SMALL, None, None, dict.fromkeys(bench.SMALL.sets))
    assert list(made.sets_at(0.3)) == ["Set5", "Set14"]
    assert list(made.sets_at(0.5)) == ["Set5", "Set14", "BSD100"]


@pytest.mark.parametrize("way", ["srp", "assl", "gassl"])
def test_methods_that_learn_press_for_the_same_steps(bench: ModuleType, way: str) -> None:
    made = bench.Bench("small", bench.SMALL, None, None, {})
    assert made.told(way)["steps"] == bench.SMALL.steps // 2


@pytest.mark.parametrize("way", ["gassl", "calibrated-polished", "guided", "guided-polished"])
def test_what_a_method_spends_is_less_than_all(bench: ModuleType, way: str) -> None:
    assert 0 < bench.Bench("small", bench.SMALL, None, None, {}).learned(way) < bench.SMALL.steps


def test_eight_steps_of_polishing_count_as_one_of_training(bench: ModuleType) -> None:
    made = bench.Bench("small", bench.SMALL, None, None, {})
    assert (made.told("calibrated-polished")["polish"], made.learned("calibrated-polished")) == (960, 120)


def test_a_network_from_scratch_has_the_widths_and_none_of_the_weights(bench: ModuleType) -> None:
    one, two = (bench.load("edsr(scale=2, blocks=1, channels=8)") for _ in range(2))
    fresh = bench.untrained(two, seed=3).state_dict()
    for name, value in one.state_dict().items():
        assert fresh[name].shape == value.shape
        assert ".shift" in name or "mean" in name or not (fresh[name] == value).all()
