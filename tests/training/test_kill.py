"""Runs killed with SIGKILL at random moments go on as if nothing had happened."""

import multiprocessing
import random
import time
import warnings
from pathlib import Path

import pytest
import torch

from espalier.data import PackedImages
from espalier.training.checkpoint import DamagedCheckpointWarning
from tests.training import worker

STEPS = 60


def run(folder: str, out: str) -> None:
    """In a process of its own: go on until the end and leave the weights."""
    torch.set_num_threads(1)
    warnings.simplefilter("ignore", DamagedCheckpointWarning)
    settings = worker.settings(batch=4, lr=1e-3, steps=STEPS, save_every=1)
    trained = worker.train(Path(folder), settings, Path(out) / "run", resume=True)
    torch.save(trained.state_dict(), Path(out) / "final.pt")


def killed(folder: Path, out: Path, times: int, seed: int) -> int:
    """Kill the run at `times` random moments, starting it again each time; gives how many hit it at work."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["torch._dynamo", "espalier.training", "tests.training.worker"])
    moments, hits = random.Random(seed), 0
    for number in range(times + 1):
        process = context.Process(target=run, args=(str(folder), str(out)))
        process.start()
        if number < times:
            checkpoints = out / "run" / "checkpoints"
            before = max(checkpoints.glob("step-*"), default=None)
            while max(checkpoints.glob("step-*"), default=None) == before and process.is_alive():
                time.sleep(0.001)  # so that every start gets somewhere
            time.sleep(moments.uniform(0, 0.03))
            hits += process.is_alive()
            process.kill()
        process.join()
    assert process.exitcode == 0
    return hits


@pytest.mark.parametrize("times", [3, pytest.param(50, marks=pytest.mark.slow)])
def test_the_end_is_the_same_bit_for_bit(images: PackedImages, tmp_path: Path, times: int) -> None:
    assert images.file is not None
    folder = images.file.parent.parent
    assert killed(folder, tmp_path, times, seed=times) >= times / 2
    whole = worker.train(folder, worker.settings(batch=4, lr=1e-3, steps=STEPS, save_every=1)).state_dict()
    final = torch.load(tmp_path / "final.pt", weights_only=True)
    assert all(torch.equal(final[name], value) for name, value in whole.items())
    assert not list((tmp_path / "run").rglob("*.part"))
