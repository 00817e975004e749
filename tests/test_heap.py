import platform
import subprocess
import sys

import pytest

FAULTS = """
import resource, sys, torch
from espalier.heap import reuse_large_blocks
if sys.argv[1] == "reuse":
    reuse_large_blocks()
for _ in range(12):
    torch.ones(2**24)
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(4):
    torch.ones(2**24)
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


def faults(argument: str) -> int:
    """How often four blocks of 64 MiB touch new memory, when twelve of that size were freed before."""
    command = [sys.executable, "-c", FAULTS, argument]
    return int(subprocess.run(command, capture_output=True, text=True, check=True).stdout)


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="another C library than glibc")
def test_freed_blocks_are_used_again() -> None:
    assert faults("reuse") < faults("leave") / 4
