"""37 SR networks, Espalier and Torch-Pruning side by side: python benchmarks/architectures.py [--rows NAME ...]

Torch-Pruning takes part where it is installed (pip install --no-deps torch-pruning==1.6.1). Writes
benchmarks/results/architectures.json after every row, then docs/architectures.md. Each tool runs each
network in a process of its own with a time limit; `--rows` runs a few again and keeps the others' results.
"""

import argparse
import importlib.metadata
import importlib.util
import json
import os
import platform
import resource
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

from rows import ROWS
from tables import DOCS, write_architectures

HERE = Path(__file__).parent
RESULTS = HERE / "results" / "architectures.json"
LIMITS = {"espalier": 300, "torch-pruning": 60}
"""Processor seconds that one network may take."""


def measured(tool: str, name: str, *options: str) -> dict[str, Any]:
    """What one process measured, or why there is nothing."""
    command = [sys.executable, str(HERE / "one_row.py"), tool, name, *options]
    environment = os.environ | {"OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
    limit = LIMITS[tool]
    done = subprocess.run(
        command,
        capture_output=True,
        text=True,
        env=environment,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_CPU, (limit, limit)),
    )
    lines = done.stdout.splitlines()
    if done.returncode == 0 and lines:
        return json.loads(lines[-1])
    if done.returncode in (-signal.SIGXCPU, -signal.SIGKILL):
        return {"runs": False, "reason": f"no end within {limit} s"}
    last = (done.stderr.strip().splitlines() or [f"exit status {done.returncode}"])[-1]
    return {"runs": False, "reason": last[:200]}


def read() -> dict[str, Any]:
    if RESULTS.is_file():
        return json.loads(RESULTS.read_text(encoding="utf-8"))
    return {"rows": {}, "growth": {}}


def write(results: dict[str, Any]) -> None:
    RESULTS.parent.mkdir(exist_ok=True)
    RESULTS.write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")


def versions() -> dict[str, str]:
    found = {"python": platform.python_version()}
    for name in ("torch", "spandrel", "torch-pruning"):
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            found[name] = "absent"
    return found


def survey(names: list[str], tools: list[str], options: list[str]) -> None:
    for number, name in enumerate(names, start=1):
        for tool in tools:
            found = measured(tool, name, *(options if tool == "espalier" else ()))
            results = read() | {"versions": versions()}
            results["rows"].setdefault(name, {})[tool] = found
            write(results)
            print(f"{number}/{len(names)} {name}, {tool}: {json.dumps(found)[:200]}", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    known = [row.name for row in ROWS]
    parser.add_argument(
        "--rows", nargs="*", choices=known, metavar="NAME", help="these networks only; none: none"
    )
    parser.add_argument(
        "--tools", nargs="+", choices=["espalier", "torch-pruning"], default=["espalier", "torch-pruning"]
    )
    parser.add_argument(
        "--onnx", action="store_true", help="export as well (needs onnx, onnxscript, onnxruntime)"
    )
    arguments = parser.parse_args()
    here = importlib.util.find_spec("torch_pruning") is not None
    tools = [tool for tool in arguments.tools if here or tool != "torch-pruning"]
    survey(known if arguments.rows is None else arguments.rows, tools, ["--onnx"] if arguments.onnx else [])
    write_architectures(read(), DOCS / "architectures.md")


if __name__ == "__main__":
    main()
