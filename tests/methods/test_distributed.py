"""Two workers choose the same channels, and those that one worker with twice the batch chooses."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from tests.methods import worker
from tests.methods.jobs import LEARNED

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What every worker made of every method."""
    out = tmp_path_factory.mktemp("workers")
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node=2"]
    done = subprocess.run(
        [*command, str(Path(worker.__file__)), str(out)],
        env=os.environ | {"OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=400,
        check=False,
    )
    assert done.returncode == 0, done.stderr[:3000]
    return out


@pytest.mark.parametrize("method", LEARNED)
def test_every_worker_chooses_the_same_channels(method: str, results: Path) -> None:
    first, second = (torch.load(results / f"{method}-{rank}.pt", weights_only=True) for rank in (0, 1))
    alone = worker.run(method, batch=4, lr=2e-3)
    assert any(name.startswith("kept") for name in alone)
    for name, value in alone.items():
        assert torch.equal(first[name], second[name])
        if name.startswith("kept"):
            assert torch.equal(first[name], value)
        else:
            assert (first[name] - value).norm() <= 1e-3 * value.norm() + 1e-6
