"""What a run folder holds, and reading it back."""

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from espalier.errors import EspalierError, PlanError
from espalier.plan import PrunePlan

CONFIG = "config.yaml"
ENVIRONMENT = "environment.json"
PLAN = "plan.json"
COST = "cost.json"
METRICS = "metrics.json"
LOG = "log.jsonl"
PHASES = "phases"
"""One folder per phase of training that a method asked for, each with its own log."""
CROPS = "crops/crops.json"
NETWORK = "network.safetensors"
PLAIN = "plain.pth"
"""The same for other programs, where the network stayed in its architecture."""
MARKDOWN = "report.md"
PAGE = "report/index.html"

VERSIONS = ("bicubic", "dense", "pruned", "recovered", "original")
"""Names of the pictures and rows of a run, in the order in which they are shown."""


Log = tuple[dict[str, Any], ...]
"""Records of a log, one per line."""


class RunError(EspalierError):
    """A run folder cannot be read."""


@dataclass(frozen=True)
class Crop:
    """One place of one test image as each version shows it."""

    image: str
    reason: str
    """Why this place was chosen: "differs most" or "typical"."""
    box: tuple[int, int, int, int]
    """Left, top, right, bottom in the high-resolution image."""
    files: dict[str, Path]
    """Version to picture."""
    psnr: dict[str, float]
    """Version to PSNR of the crop, RGB, no border; without the original."""


@dataclass(frozen=True)
class Run:
    """Everything a report may use; parts that a run did not write are empty."""

    path: Path
    config: dict[str, Any]
    environment: dict[str, Any]
    plan: PrunePlan | None
    cost: dict[str, Any]
    """`{"input_size": [h, w], "latency_size": [h, w], "rows": {version: row}}`; a row has `params`, `macs`,
    `activations`, `convs`, `ms`, `ms_spread` and `memory` (bytes) as far as they were measured."""
    metrics: dict[str, Any]
    """`{"set", "scale", "y", "rows": {version: {"mean": {psnr, ssim}, "images": [{name, psnr, ssim}]}}}`."""
    log: Log
    crops: tuple[Crop, ...]
    phases: dict[str, Log] = field(default_factory=dict)
    """Name to log, in the order in which they were written."""

    @property
    def name(self) -> str:
        return self.path.resolve().name


def read(path: str | Path) -> Run:
    """Read a run folder.

    Raises:
        RunError: `path` is no run folder, or one of its files is damaged.
    """
    path = Path(path)
    if not (path / CONFIG).is_file():
        raise RunError(
            f"{path} is not a run folder: it has no {CONFIG}; `espalier compress --out` writes one"
        )
    return Run(
        path=path,
        config=_yaml(path / CONFIG),
        environment=_json(path / ENVIRONMENT),
        plan=_plan(path / PLAN),
        cost=_json(path / COST),
        metrics=_json(path / METRICS),
        log=_lines(path / LOG),
        crops=_crops(path / CROPS),
        phases=_phases(path / PHASES),
    )


def _yaml(path: Path) -> dict[str, Any]:
    import yaml

    try:
        return dict(yaml.safe_load(path.read_text(encoding="utf-8")) or {})
    except (yaml.YAMLError, ValueError, TypeError, OSError) as error:
        raise RunError(f"cannot read {path}: {error}") from error


def _json(path: Path) -> dict[str, Any]:
    if not path.is_file():
        return {}
    try:
        return dict(json.loads(path.read_text(encoding="utf-8")))
    except (ValueError, TypeError, OSError) as error:
        raise RunError(f"cannot read {path}: {error}; run the command again to write it anew") from error


def _plan(path: Path) -> PrunePlan | None:
    if not path.is_file():
        return None
    try:
        return PrunePlan.from_json(path.read_text(encoding="utf-8"))
    except PlanError as error:
        raise RunError(f"cannot read {path}: {error}") from error


def _lines(path: Path) -> Log:
    """Records of a log; a last line cut short by an interruption is left out."""
    if not path.is_file():
        return ()
    lines = path.read_text(encoding="utf-8").splitlines()
    records: list[dict[str, Any]] = []
    for number, line in enumerate(lines, start=1):
        try:
            records.append(dict(json.loads(line)))
        except (ValueError, TypeError) as error:
            if number < len(lines):
                raise RunError(f"cannot read {path}, line {number}: {error}") from error
    return tuple(records)


def _phases(path: Path) -> dict[str, Log]:
    logs = sorted(path.glob(f"*/{LOG}"), key=lambda log: log.stat().st_mtime_ns)
    return {log.parent.name: _lines(log) for log in logs}


def _crops(path: Path) -> tuple[Crop, ...]:
    if not path.is_file():
        return ()
    try:
        return tuple(
            Crop(
                image=record["image"],
                reason=record["reason"],
                box=tuple(record["box"]),
                files={version: path.parent / name for version, name in record["files"].items()},
                psnr=record["psnr"],
            )
            for record in json.loads(path.read_text(encoding="utf-8"))
        )
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise RunError(f"cannot read {path}: {error!r}") from error
