"""Writing a run folder: everything that a report, or another machine, needs to know of a run."""

import datetime
import itertools
import json
import math
import os
import platform
import re
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from espalier import __version__
from espalier.errors import OutputError
from espalier.files import write_text
from espalier.report import folder

OVERWRITE, RESUME = "--overwrite", "--resume to go on with it"
"""What a command offers for a folder that holds a run."""


def begin(
    path: Path, settings: Mapping[str, Any], *, overwrite: bool = False, instead: str = OVERWRITE
) -> Path:
    """Make the run folder and write the settings and the environment into it.

    Raises:
        OutputError: the folder holds something already, or cannot be written.
    """
    if overwrite and (path / folder.CONFIG).is_file():
        _clear(path)
    else:
        free(path, instead)
    write_text(path / folder.CONFIG, dump(settings))
    write_json(path / folder.ENVIRONMENT, environment())
    return path


def free(path: Path, instead: str = OVERWRITE) -> None:
    """Whether a run may begin there; `instead` is what else the command offers.

    Raises:
        OutputError: the folder holds something already.
    """
    if not path.is_dir() or not any(path.iterdir()):
        return
    if not (path / folder.CONFIG).is_file():
        raise OutputError(f"{path} is not empty and is no run folder; choose another place with --out")
    raise OutputError(f"{path} holds a run already; choose another place with --out, or give {instead}")


def stem(reference: str) -> str:
    """A short name for a folder from whatever names a network: file, constructor or factory."""
    name = reference.partition("(")[0]
    name = Path(name).stem if Path(name).suffix else name
    return re.sub(r"[^A-Za-z0-9._-]+", "_", name) or "network"


def fresh(name: str, parent: Path = Path("runs")) -> Path:
    """A run folder that does not exist yet: `name`, or `name-2`, `name-3`, ..."""
    return next(
        path
        for k in itertools.count(1)
        if not (path := parent / (name if k == 1 else f"{name}-{k}")).exists()
    )


def dump(settings: Mapping[str, Any]) -> str:
    """Settings as YAML, in their order; a file of them serves as `--config`."""
    import yaml

    return yaml.safe_dump(dict(settings), sort_keys=False, allow_unicode=True)


def _clear(path: Path) -> None:
    """Remove what an earlier run wrote, and nothing else."""
    files = (
        folder.PLAN,
        folder.COST,
        folder.METRICS,
        folder.LOG,
        folder.NETWORK,
        folder.PLAIN,
        folder.MARKDOWN,
        folder.PAGE,
    )
    for name in files:
        (path / name).unlink(missing_ok=True)
    for name in ("checkpoints", Path(folder.CROPS).parent):
        shutil.rmtree(path / name, ignore_errors=True)


def write_json(path: Path, content: Any) -> None:
    """Write strict JSON: numbers that are not finite become null."""
    write_text(path, json.dumps(finite(content), indent=1, allow_nan=False) + "\n")


def finite(value: Any) -> Any:
    """`value` with every float that JSON does not know replaced by None."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {str(key): finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [finite(item) for item in value]
    return value


def environment() -> dict[str, Any]:
    """Versions and hardware that the figures of a run depend on; nothing about the person."""
    import torch

    return {
        "date": datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%d %H:%M UTC"),
        "espalier": __version__,
        "python": platform.python_version(),
        "torch": torch.__version__,
        "system": f"{platform.system()} {platform.machine()}",
        "device": _gpu() or _cpu(),
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "threads": torch.get_num_threads(),
    }


def _gpu() -> str:
    import torch

    return torch.cuda.get_device_name() if torch.cuda.is_available() else ""


def _cpu() -> str:
    """The processor's name where the system tells it."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        lines = []
    named = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(named, "") or platform.processor() or "CPU"
