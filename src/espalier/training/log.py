"""What happened: one JSON line per report, and the same as values."""

import json
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

from espalier.errors import OutputError
from espalier.files import write_text


@dataclass(frozen=True)
class Point:
    """One report: means since the one before."""

    step: int
    """Steps done."""
    lr: float
    losses: Mapping[str, float] = field(default_factory=dict)
    """Each weighted term, and "total"."""
    scores: Mapping[str, float] = field(default_factory=dict)
    """What the validation gave, where there was one."""
    facts: Mapping[str, float] = field(default_factory=dict)
    """What the method told."""
    rate: float = 0.0
    """Steps per second."""


@dataclass(frozen=True)
class History:
    """A finished training."""

    points: tuple[Point, ...]
    steps: int
    seconds: float

    @property
    def best(self) -> Point | None:
        """The report with the highest PSNR."""
        scored = [point for point in self.points if "psnr" in point.scores]
        return max(scored, key=lambda point: point.scores["psnr"], default=None)

    @property
    def last_psnr(self) -> float:
        """The last PSNR measured, NaN where none was."""
        return next((p.scores["psnr"] for p in reversed(self.points) if "psnr" in p.scores), math.nan)


Listener = Callable[[Point], None]


class Log:
    """Points in memory, as lines of `path` where there is one, and told to all listeners."""

    def __init__(self, path: Path | None = None, listeners: Sequence[Listener] = ()) -> None:
        self.path = path
        self.listeners = tuple(listeners)
        self.points: list[Point] = []

    def add(self, point: Point) -> None:
        self.points.append(point)
        for listener in self.listeners:
            listener(point)
        if self.path is None:
            return
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            with self.path.open("a", encoding="utf-8") as file:
                file.write(json.dumps(asdict(point)) + "\n")
        except OSError as error:
            raise OutputError(f"cannot write {self.path}: {error.strerror or error}") from error

    def rewind(self, step: int) -> None:
        """Read the points of an earlier run up to `step` and drop later ones, which will be written again."""
        if self.path is None or not self.path.exists():
            return
        self.points = [point for point in read_log(self.path) if point.step <= step]
        write_text(self.path, "".join(json.dumps(asdict(point)) + "\n" for point in self.points))


def read_log(path: Path) -> list[Point]:
    """The points of a log; a line cut short when the run was killed is left out."""
    points = (_point(line) for line in path.read_text(encoding="utf-8").splitlines())
    return [point for point in points if point is not None]


def _point(line: str) -> Point | None:
    try:
        return Point(**json.loads(line))
    except (ValueError, TypeError):
        return None
