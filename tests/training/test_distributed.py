"""Several workers train as one would on a larger batch."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from espalier.data import PackedImages
from espalier.training.distributed import Workers, current, joined
from espalier.training.log import Log
from tests.training import worker

LAUNCHER = [sys.executable, "-m", "torch.distributed.run"]
SCRIPT = str(Path(__file__).with_name("worker.py"))
ENVIRONMENT = os.environ | {"OMP_NUM_THREADS": "1"}
LEAVING = """
import weakref
import torch.distributed as dist
from espalier.training.distributed import joined

with joined():
    group = weakref.ref(dist.group.WORLD)
    import torch._dynamo  # as tracing does
assert group() is None, "the process group is kept"
"""


def torchrun(*arguments: object, restarts: int = 0) -> subprocess.CompletedProcess:
    """Two workers of this machine."""
    flags = ["--standalone", "--nproc_per_node=2", f"--max-restarts={restarts}"]
    command = [*LAUNCHER, *flags, SCRIPT, *map(str, arguments)]
    return subprocess.run(command, env=ENVIRONMENT, capture_output=True, text=True, timeout=240, check=False)


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
    done = torchrun(folder, tmp_path)
    assert done.returncode == 0, done.stderr[:3000]
    agree(folder, tmp_path)
    log = Log(tmp_path / "run" / "log.jsonl")
    log.rewind(50)
    assert [point.step for point in log.points] == [20, 40, 50]  # only one worker wrote


def test_no_thread_outlives_the_parting(tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    script.write_text(LEAVING)
    flags = ["--standalone", "--nproc_per_node=2"]
    done = subprocess.run(
        [*LAUNCHER, *flags, script], env=ENVIRONMENT, capture_output=True, text=True, timeout=240, check=False
    )
    assert done.returncode == 0, done.stderr[-2000:]


@pytest.mark.slow
def test_a_worker_that_dies_restarts_the_job_from_its_checkpoint(folder: Path, tmp_path: Path) -> None:
    done = torchrun(folder, tmp_path, "--die", restarts=1)
    assert done.returncode == 0, done.stderr[-2000:]
    assert (tmp_path / "died").exists()
    agree(folder, tmp_path)


@pytest.mark.slow
def test_a_worker_that_dies_ends_a_job_without_restarts(folder: Path, tmp_path: Path) -> None:
    assert torchrun(folder, tmp_path, "--die").returncode != 0
    assert not (tmp_path / "0.pt").exists()
    assert (tmp_path / "run" / "checkpoints" / "step-000000030.ckpt").exists()


@pytest.fixture
def hosts() -> Iterator[tuple[str, str]]:
    """Two network namespaces joined by a cable, 10.207.0.1 and 10.207.0.2."""
    names = (f"espalier-{os.getpid()}-a", f"espalier-{os.getpid()}-b")
    made = [ip("netns", "add", name) for name in names]
    try:
        if not all(made):
            pytest.skip("`ip netns add` is refused or missing here; it needs root and iproute2")
        ends = [f"esp{os.getpid()}{end}" for end in "ab"]
        if not ip("link", "add", ends[0], "type", "veth", "peer", "name", ends[1]):
            pytest.skip("`ip link add type veth` is refused here; it needs root and the kernel's veth")
        for name, end, address in zip(names, ends, ("10.207.0.1/24", "10.207.0.2/24")):
            assert ip("link", "set", end, "netns", name)
            assert ip("-n", name, "link", "set", end, "name", "cable")
            assert ip("-n", name, "address", "add", address, "dev", "cable")
            assert ip("-n", name, "link", "set", "cable", "up")
            assert ip("-n", name, "link", "set", "lo", "up")
        yield names
    finally:
        for name in names:
            ip("netns", "delete", name)


def ip(*words: str) -> bool:
    """Run the system's `ip`."""
    try:
        return subprocess.run(["ip", *words], capture_output=True, check=False).returncode == 0
    except FileNotFoundError:
        return False


@pytest.mark.parametrize("die", [False, pytest.param(True, marks=pytest.mark.slow)])
def test_two_hosts(hosts: tuple[str, str], folder: Path, tmp_path: Path, die: bool) -> None:
    meeting = ["--nnodes=2", "--nproc_per_node=1", "--rdzv_backend=c10d", "--rdzv_endpoint=10.207.0.1:29400"]
    environment = ENVIRONMENT | {"GLOO_SOCKET_IFNAME": "cable"}
    script = ["--max-restarts=1", SCRIPT, str(folder), str(tmp_path), *(["--die"] if die else [])]
    started = []
    for number, host in enumerate(hosts, start=1):
        # Which host holds the meeting point is said outright: both share this machine's name.
        place = [f"--local_addr=10.207.0.{number}", f"--rdzv_conf=is_host={2 - number}"]
        inside = ["ip", "netns", "exec", host, *LAUNCHER, *meeting, *place, *script]
        started.append(subprocess.Popen(inside, env=environment, stderr=subprocess.PIPE, text=True))
    try:
        told = [process.communicate(timeout=240)[1] for process in started]
    finally:
        for process in started:
            process.kill()
    assert [process.returncode for process in started] == [0, 0], told[0][-2000:]
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
