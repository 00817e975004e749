"""Several workers train as one would on a larger batch."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from espalier.data import PackedImages
from espalier.training.distributed import Workers, current, joined
from espalier.training.log import Log
from tests.training import worker


def torchrun(arguments: list[str], *, workers: int = 2) -> subprocess.CompletedProcess:
    """Start a script of this folder as torchrun does."""
    launcher = [sys.executable, "-m", "torch.distributed.run", "--standalone", f"--nproc_per_node={workers}"]
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    return subprocess.run(
        [*launcher, str(Path(__file__).with_name("worker.py")), *arguments],
        env=environment,
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )


def test_two_workers_of_8_are_one_of_16_across_a_surgery(images: PackedImages, tmp_path: Path) -> None:
    assert images.file is not None
    folder = images.file.parent.parent
    done = torchrun([str(folder), str(tmp_path)])
    assert done.returncode == 0, done.stderr[-2000:]
    alone = worker.train(folder, worker.settings(batch=16, lr=2e-3)).state_dict()
    first, second = (torch.load(tmp_path / f"{rank}.pt", weights_only=True) for rank in (0, 1))
    assert alone["0.weight"].shape[0] == 4
    for name, value in alone.items():
        assert torch.equal(first[name], second[name])
        assert (first[name] - value).norm() / value.norm() < 1e-5
    log = Log(tmp_path / "run" / "log.jsonl")
    log.rewind(50)
    assert [point.step for point in log.points] == [20, 40, 50]  # only one worker wrote


def test_alone_nothing_is_exchanged() -> None:
    value = torch.ones(2)
    with joined() as workers:
        assert workers == current() == Workers(0, 1)
        workers.average_([value])
        workers.wait()
        assert workers.same("mine") == "mine"
        assert workers.agree(True)
        assert not workers.agree(False)
    assert torch.equal(value, torch.ones(2))


@pytest.mark.parametrize("rank", [0, 1])
def test_only_the_first_writes(rank: int) -> None:
    assert Workers(rank, 2).writes == (rank == 0)
