"""The benchmark of calibrated pruning: its page tells what was measured, its rival is held to the budget."""

from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from torch import nn

from tests import zoo
from tests.benchmarks.conftest import Script


@pytest.fixture
def scripts(script: Script) -> dict[str, ModuleType]:
    return {name: script(name) for name in ("calibrated_tables", "rival", "drawings")}


def row(way: str, budget: float = 0.5, **changed: object) -> dict[str, object]:
    given = {
        "network": "Net", "budget": budget, "way": way, "images": 32, "source": "photographs", "seed": 0,
        "dense": {"Set5": 32.0}, "psnr": {"Set5": 31.5}, "macs": 0.5, "params": 0.4, "cpu_seconds": 20.0,
        "peak_mib": 900,
    }  # fmt: skip
    return given | changed


def test_the_page_shows_every_way_beside_the_dense_network(scripts: dict[str, ModuleType]) -> None:
    tables = scripts["calibrated_tables"]
    found = [
        row("calibrated"),
        row("refitted", psnr={"Set5": 31.3}),
        row("magnitude", psnr={"Set5": 20.0}),
        row("calibrated", seed=1, psnr={"Set5": 1.0}),
    ]
    shown = tables.quality(found, "Set5").splitlines()
    assert shown[2] == "| Net 0.5 | 32.00 | 31.50 | 31.30 |  | 20.00 |  |"
    assert len(shown) == 3
    assert tables.quality(found, "Set14") == "Not measured yet."


def test_failures_are_named_and_shown_as_such(scripts: dict[str, ModuleType]) -> None:
    tables = scripts["calibrated_tables"]
    failed = {k: v for k, v in row("torch-pruning").items() if k not in ("psnr", "macs")} | {
        "failed": "IndexError"
    }
    found = [row("calibrated"), failed]
    assert tables.quality(found, "Set5").splitlines()[2].endswith("| fails |")
    assert "`IndexError`" in tables.failures(found)
    assert "20 s" in tables.prices(found)


def test_drawings_are_always_the_same(scripts: dict[str, ModuleType], tmp_path: Path) -> None:
    drawn = scripts["drawings"]
    folder = drawn.drawings(tmp_path, 2)
    assert sorted(p.name for p in folder.iterdir()) == ["drawing000.png", "drawing001.png"]
    first, again, other = (np.asarray(drawn.drawing(np.random.default_rng(k))) for k in (0, 0, 1))
    assert (first == again).all()
    assert (first != other).any()


def test_what_torch_pruning_must_leave_whole(scripts: dict[str, ModuleType]) -> None:
    network = zoo.network(zoo.find("edsr"))
    rival = scripts["rival"]
    assert rival.before_shuffles(network.body)
    last = [name for name, m in network.body.named_modules() if isinstance(m, nn.Conv2d)][-1]
    assert last in rival.last_layers(network)


@pytest.mark.slow
def test_torch_pruning_meets_the_budget(scripts: dict[str, ModuleType]) -> None:
    pytest.importorskip("torch_pruning")
    from espalier.costs import count

    network = zoo.network(zoo.find("vdsr")).eval()
    smaller = scripts["rival"].cut_by_torch_pruning(network, 0.8)
    assert 0.5 < count(smaller).macs / count(network).macs <= 0.8
