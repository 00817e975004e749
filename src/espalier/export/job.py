"""Export in a process of its own: `python -m espalier.export.job`, so that a crash of an exporter is a message."""

import dataclasses
import json
import subprocess
import sys
import tempfile
from pathlib import Path

import torch

from espalier.errors import EspalierError, NetworkError
from espalier.export import target
from espalier.export.target import Exported, Request
from espalier.networks.file import save
from espalier.networks.load import load
from espalier.networks.network import OBJECT, Network

_MARK = "espalier-export:"
"""Before the answer, since exporters print what they like."""


def export(network: Network, name: str, path: Path, request: Request) -> Exported:
    """Write `network` to `path` as target `name`; torch runs with as many threads as here.

    Raises:
        NetworkError: the exporter refuses the network, or crashes.
        OutputError: the file cannot be written.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    if network.base.kind == OBJECT:  # no other process could build it
        return target(name).write(network, path, request)
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder) / "network.safetensors"
        save(network, source)
        order = json.dumps(
            {
                "source": str(source),
                "target": name,
                "path": str(path),
                "fixed": request.fixed,
                "half": request.half,
                "threads": torch.get_num_threads(),
                "search": sys.path,
            }
        )
        command = [sys.executable, "-m", "espalier.export.job"]
        done = subprocess.run(command, input=order, capture_output=True, text=True, check=False)
    return _answer(done, network.name, name)


def _answer(done: subprocess.CompletedProcess[str], network: str, target_name: str) -> Exported:
    for line in done.stdout.splitlines():
        if line.startswith(_MARK):
            answer = json.loads(line.removeprefix(_MARK))
            if "error" in answer:
                raise NetworkError(answer["error"])
            size = answer["size"]
            return Exported(None if size is None else (size[0], size[1]), answer["note"])
    last = next((line for line in reversed(done.stderr.splitlines()) if line.strip()), "it said nothing")
    how = f"killed by signal {-done.returncode}" if done.returncode < 0 else f"exit {done.returncode}"
    raise NetworkError(
        f"the exporter to {target_name} crashed on {network} ({how}): {last.strip()[:300]}; "
        "try --fixed HxW, or another target"
    )


def main() -> None:
    """Do what standard input asks for and print the answer as one line of JSON."""
    order = json.load(sys.stdin)
    sys.path[:] = order["search"]
    torch.set_num_threads(order["threads"])
    request = Request(None if order["fixed"] is None else tuple(order["fixed"]), order["half"])
    try:
        network = load(Path(order["source"]))
        exported = target(order["target"]).write(network, Path(order["path"]), request)
        answer = dataclasses.asdict(exported)
    except EspalierError as error:
        answer = {"error": str(error)}
    print(_MARK + json.dumps(answer))


if __name__ == "__main__":
    main()
