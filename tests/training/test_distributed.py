"""Several workers train as one would on a larger batch."""

from pathlib import Path

import pytest
import torch

from espalier.data import PackedImages
from espalier.training.distributed import Workers, current, joined
from espalier.training.log import Log
from tests.launched import hosts, passed, passed_on, torchrun  # noqa: F401 (a fixture)
from tests.training import worker

SCRIPT = str(Path(__file__).with_name("worker.py"))
LEAVING = """
import weakref
import torch.distributed as dist
from espalier.training.distributed import joined

with joined():
    group = weakref.ref(dist.group.WORLD)
    import torch._dynamo  # as tracing does
assert group() is None, "the process group is kept"
"""


def agree(folder: Path, out: Path) -> None:
    """Both workers hold the same weights: those of one worker with twice the batch."""
    alone = worker.train(folder, worker.settings(batch=16, lr=2e-3)).state_dict()
    first, second = (torch.load(out / f"{rank}.pt", weights_only=True) for rank in (0, 1))
    assert alone["0.weight"].shape[0] == 4
    for name, value in alone.items():
        assert torch.equal(first[name], second[name])
        assert (first[name] - value).norm() / value.norm() < 1e-5


@pytest.fixture
def folder(images: PackedImages) -> Path:
    assert images.file is not None
    return images.file.parent.parent


def test_two_workers_of_8_are_one_of_16_across_a_surgery(folder: Path, tmp_path: Path) -> None:
    passed(SCRIPT, folder, tmp_path)
    agree(folder, tmp_path)
    log = Log(tmp_path / "run" / "log.jsonl")
    log.rewind(50)
    assert [point.step for point in log.points] == [20, 40, 50]  # only one worker wrote


def test_no_thread_outlives_the_parting(tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    script.write_text(LEAVING)
    passed(script)


@pytest.mark.slow
def test_a_worker_that_dies_restarts_the_job_from_its_checkpoint(folder: Path, tmp_path: Path) -> None:
    passed(SCRIPT, folder, tmp_path, "--die", restarts=1)
    assert (tmp_path / "died").exists()
    agree(folder, tmp_path)


@pytest.mark.slow
def test_a_worker_that_dies_ends_a_job_without_restarts(folder: Path, tmp_path: Path) -> None:
    assert torchrun(SCRIPT, folder, tmp_path, "--die").returncode != 0
    assert not (tmp_path / "0.pt").exists()
    assert (tmp_path / "run" / "checkpoints" / "step-000000030.ckpt").exists()


@pytest.mark.parametrize("die", [False, pytest.param(True, marks=pytest.mark.slow)])
def test_two_hosts(hosts: tuple[str, str], folder: Path, tmp_path: Path, die: bool) -> None:  # noqa: F811
    passed_on(hosts, SCRIPT, folder, tmp_path, *["--die"] * die, restarts=1)
    assert (tmp_path / "died").exists() == die
    agree(folder, tmp_path)


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


def test_gradients_that_some_workers_lack(monkeypatch: pytest.MonkeyPatch) -> None:
    """A second worker is played: it has gradients of 3 for the first two parameters, none for the third."""
    here = [torch.nn.Parameter(torch.zeros(2)) for _ in range(3)]
    here[0].grad = torch.ones(2)
    there = torch.tensor([3.0, 3.0, 3.0, 3.0, 0.0, 0.0, 1.0, 1.0, 0.0])
    monkeypatch.setattr(torch.distributed, "all_reduce", lambda tensor: tensor.add_(there))
    Workers(0, 2).average_gradients_(here)
    assert [None if p.grad is None else p.grad.tolist() for p in here] == [[2.0, 2.0], [1.5, 1.5], None]
