"""The thesis' schedule and ours: equal steps for all, equal MACs, the page from rows as the benchmark writes them."""

import json
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import torch

from espalier.data import pack
from espalier.networks.load import load
from tests.benchmarks.conftest import Script
from tests.recipes.conftest import write_photos

TINY = {
    "DRLN": "drln(scale=2, channels=16, cascades=[1])",
    "SwinIR": "spandrel.SwinIR(embed_dim=12, depths=[2], num_heads=[2], window_size=4, mlp_ratio=2, upscale=2, "
    "img_size=16, upsampler='pixelshuffledirect')",
}


@pytest.fixture
def thesis(script: Script) -> ModuleType:
    return script("thesis")


@pytest.fixture
def bench(thesis: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """A small SwinIR, half of whose channels go within eight steps."""
    monkeypatch.setenv("ESPALIER_CACHE", str(tmp_path / "cache"))
    folder = write_photos(tmp_path / "sets" / "Set5", 2)
    small = thesis.PRESETS["small"]
    networks = {name: replace(small.networks[name], reference=TINY[name], steps=2) for name in TINY}
    preset = replace(small, networks=networks, steps=8, batch=1, patch=8, train=("Set5",), sets=("Set5",))
    dense = load(TINY["SwinIR"]).eval()
    return thesis.Bench("tiny", "SwinIR", preset, dense, pack(folder, 2), tmp_path)


def quality(psnr: float, *sets: str) -> dict[str, dict[str, float]]:
    return {name: {"psnr": psnr, "ssim": 0.9} for name in sets or ("Set5", "Set14")}


def row(way: str, psnr: float, seed: int = 0, **other: Any) -> dict[str, Any]:
    both = {"eight": quality(psnr), "plain": quality(psnr - 0.1)}
    pruned = {name: quality(psnr - 1) for name in both}
    ratio = 0.0 if way in ("bicubic", "dense") else 0.9
    return {
        "preset": "small", "network": "DRLN", "way": way, "ratio": ratio, "seed": seed, "steps": 600,
        "macs": 1e9, "params": 1000, "pruned": pruned, "tuned": both,
    } | other  # fmt: skip


@pytest.mark.parametrize("steps", [600, 80])
def test_every_way_leaves_steps_for_recovery_and_spends_none_twice(thesis: ModuleType, steps: int) -> None:
    for way in thesis.WAYS.values():
        assert 0 <= way.learned(steps) < steps
        if way.folder not in ("scratch", *thesis.OURS):
            assert thesis.options(way.folder, way.options(steps)) is not None or not way.shares
    fourfold = thesis.WAYS["stepwise-4"]
    assert fourfold.learned(600) == 4 * 75 + 3 * 75  # and the last 75 are the recovery


@pytest.mark.parametrize("way", ["l2", "calibrated"])
def test_published_methods_take_equal_shares_and_ours_the_same_macs(
    bench: Any, thesis: ModuleType, way: str
) -> None:
    fitting = bench.fitting(bench.data / "run", 0)
    job = bench.job(thesis.WAYS[way], 0.5, 0, fitting)
    assert (job.budget.kind, job.allocation) == (
        ("macs", "damage") if way == "calibrated" else ("ratio", "uniform")
    )
    equal = bench.job(thesis.WAYS["l2"], 0.5, 0, fitting)
    most = thesis.count(thesis.by_size(equal)).macs
    assert thesis.count(thesis.method(thesis.WAYS[way].folder)(job)).macs <= most


def test_a_cell_is_measured_before_and_after_recovery(bench: Any, thesis: ModuleType) -> None:
    found = thesis.cell(bench, "stepwise-4", 0.5, 0)
    assert (found["steps"], found["learned"]) == (8, 7)
    assert found["macs"] < bench.size(bench.dense)["macs"] / 2
    for when in ("pruned", "tuned"):
        assert {name: list(sets) for name, sets in found[when].items()} == {
            "eight": ["Set5"],
            "plain": ["Set5"],
        }
    assert found["tuned"] != found["pruned"]


def test_a_network_from_scratch_has_the_widths_and_none_of_the_weights(
    bench: Any, thesis: ModuleType
) -> None:
    like = thesis.by_size(bench.job(thesis.WAYS["scratch"], 0.5, 0, bench.fitting(bench.data / "run", 0)))
    new = thesis.fresh(bench, like, seed=1)
    kept, drawn = dict(like.named_parameters()), dict(new.named_parameters())
    assert {name: p.shape for name, p in kept.items()} == {name: p.shape for name, p in drawn.items()}
    matrices = [name for name, p in kept.items() if p.ndim > 1]
    assert not any(torch.equal(kept[name], drawn[name]) for name in matrices)


def test_the_dense_network_is_trained_once(
    bench: Any, thesis: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = bench.data / "dense"
    first = thesis.trained(bench.preset, "DRLN", bench.images, run, "cpu")
    monkeypatch.setattr(thesis.training, "fit", lambda *_args, **_given: pytest.fail("trained again"))
    again = thesis.trained(bench.preset, "DRLN", bench.images, run, "cpu")
    x = torch.rand(1, 3, 8, 8)
    with torch.no_grad():
        torch.testing.assert_close(first(x), again(x))


def test_the_page_has_baselines_shares_and_both_measures(thesis: ModuleType, tmp_path: Path) -> None:
    rows = [
        row("bicubic", 33.0, macs=0, params=0, tuned={"plain": quality(33.0)}),
        row("dense", 37.0, steps=2500, macs=1e11, params=100_000),
        row("greg", 35.0),
        row("greg", 36.0, seed=1),
        row("scratch", 34.0),
    ]
    environment = {"espalier": "0", "torch": "2", "device": "CPU"}
    (tmp_path / "rows.json").write_text(json.dumps({"environment": environment, "rows": rows}))
    thesis.write_tables(tmp_path / "rows.json", tmp_path / "page.md")
    page = (tmp_path / "page.md").read_text()
    assert "## DRLN: 90% of the channels gone, 1.0% of the MACs left" in page
    assert "| bicubic |  |  |  | 33.00 / 0.9000 | 33.00 / 0.9000 |" in page
    assert "| dense | 100.0 | 100.00 |  | 37.00 / 0.9000 | 37.00 / 0.9000 |" in page
    assert (
        "| `greg`, one step | 1.0 | 1.00 (1.0%) | 34.50 / 0.9000 | 35.50 / 0.9000 | 35.50 / 0.9000 |" in page
    )
    assert "| the same widths from scratch | 1.0 | 1.00 (1.0%) |  | 34.00 / 0.9000 | 34.00 / 0.9000 |" in page
    assert "Means of 2 seeds." in page
