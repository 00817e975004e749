"""Several workers as torchrun starts them: two of this machine, or one on each of two hosts."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

TORCHRUN = [sys.executable, "-m", "torch.distributed.run"]
ENVIRONMENT = os.environ | {"OMP_NUM_THREADS": "1", "PYTHONPATH": str(Path(__file__).parents[1])}
ESPALIER = ("-m", "espalier")
PATIENCE = 400
"""Seconds."""


def torchrun(*script: object, restarts: int = 0) -> subprocess.CompletedProcess[str]:
    """Two workers of this machine run `script`, a file with its arguments, or "-m" with a module and its."""
    flags = ["--standalone", "--nproc_per_node=2", f"--max-restarts={restarts}"]
    command = [*TORCHRUN, *flags, *map(str, script)]
    return subprocess.run(
        command, env=ENVIRONMENT, capture_output=True, text=True, timeout=PATIENCE, check=False
    )


def passed(*script: object, restarts: int = 0) -> str:
    """What two workers print that must not fail."""
    done = torchrun(*script, restarts=restarts)
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stdout


def passed_on(hosts: tuple[str, str], *script: object, restarts: int = 0) -> None:
    """One worker on each of `hosts` runs `script`; neither must fail."""
    meeting = ["--nnodes=2", "--nproc_per_node=1", "--rdzv_backend=c10d", "--rdzv_endpoint=10.207.0.1:29400"]
    started = []
    for number, host in enumerate(hosts, start=1):
        # Which host holds the meeting point is said outright: both share this machine's name.
        place = [f"--local_addr=10.207.0.{number}", f"--rdzv_conf=is_host={2 - number}"]
        flags = [*meeting, *place, f"--max-restarts={restarts}"]
        inside = ["ip", "netns", "exec", host, *TORCHRUN, *flags, *map(str, script)]
        environment = ENVIRONMENT | {"GLOO_SOCKET_IFNAME": "cable"}
        started.append(subprocess.Popen(inside, env=environment, stderr=subprocess.PIPE, text=True))
    try:
        told = [process.communicate(timeout=PATIENCE)[1] for process in started]
    finally:
        for process in started:
            process.kill()
    assert [process.returncode for process in started] == [0, 0], told[0][-2000:]


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
