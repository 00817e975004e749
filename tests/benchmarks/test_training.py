"""The benchmarks of training run, small, and their tables tell what they measured."""

from pathlib import Path
from types import ModuleType

import pytest

from tests.benchmarks.conftest import Script


@pytest.fixture
def scripts(script: Script, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> tuple[ModuleType, ModuleType]:
    monkeypatch.setenv("ESPALIER_CACHE", str(tmp_path))
    return script("training"), script("training_gpu")


def test_the_rates_of_both_loops(scripts: tuple[ModuleType, ModuleType]) -> None:
    training, gpu = scripts
    task = training.Task("edsr(scale=2, blocks=1, channels=4)", batch=2, patch=8)
    cached = training.Cached(training.Patches(training.pack(gpu.photographs(), 2), 8).batch(0, 0, 2))
    runs = {"minimal loop": lambda: training.minimal(task, iter([cached.pair] * 7), 7)}
    runs["the loop"] = lambda: training.ours(task, cached, 10)
    rates = training.alternating(runs, 2)
    assert all(rate > 0 for each in rates.values() for pair in each for rate in pair)
    assert "| minimal loop |" in training.table({"rates": rates})
    assert "| 1.000 (1.000..1.000) |" in training.table({"rates": rates})


def test_where_the_time_of_a_step_goes(scripts: tuple[ModuleType, ModuleType]) -> None:
    training, gpu = scripts
    task = training.Task("edsr(scale=2, blocks=1, channels=4)", batch=2, patch=8)
    patches = training.Patches(training.pack(gpu.photographs(), 2), 8)
    spent = gpu.profiled(task, patches, warm=2, steps=2)
    assert spent["device_ms"]["convolution and matrix products"] > 0
    results = {
        "environment": {"device": "a GPU", "torch": "2"},
        "flop_per_step": gpu.flop(task),
        "peak": {"sheet_tflops": None, "measured_tflops": gpu.peak("cpu", seconds=0.01)},
        "rates": {"the loop, bf16": [1.0, 2.0]},
        "time": {"bf16, eager": spent},
    }
    assert "| the loop, bf16 | 2.0 |" in gpu.table(results)
    assert "ms a step; on the device: " in gpu.table(results)


def test_edsr_baseline_is_counted(scripts: tuple[ModuleType, ModuleType]) -> None:
    """1.37 M parameters at every position of the patch, twice for the upsampled half."""
    _, gpu = scripts
    parameters_times_positions = 1.37e6 * 48 * 48
    assert gpu.flop(gpu.BASELINE) / (6 * 16) == pytest.approx(parameters_times_positions, rel=0.1)
