"""Two workers choose the same channels, and those that one worker with twice the batch chooses."""

import os
import subprocess
import sys
from pathlib import Path

import torch

from tests.methods import worker

ROOT = Path(__file__).parents[2]


def test_every_worker_chooses_the_same_channels(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node=2"]
    environment = os.environ | {"OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)}
    script = str(Path(worker.__file__))
    done = subprocess.run(
        [*command, script, str(tmp_path)],
        env=environment,
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    assert done.returncode == 0, done.stderr[:3000]
    first, second = (torch.load(tmp_path / f"{rank}.pt", weights_only=True) for rank in (0, 1))
    alone = worker.run(batch=4, lr=2e-2)
    assert [name for name in alone if name.startswith("going")]
    for name, value in alone.items():
        assert torch.equal(first[name], second[name])
        if name.startswith("going"):
            assert torch.equal(first[name], value)
        else:
            assert (first[name] - value).norm() <= 1e-3 * value.norm() + 1e-6
