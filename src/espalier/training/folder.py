"""The run folder of one training: locked against a second run, with checkpoints and the log."""

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from espalier.errors import OutputError
from espalier.training import checkpoint
from espalier.training.errors import TrainingError

try:
    import fcntl
except ImportError:  # Windows: two runs in one folder are not noticed there
    fcntl = None


@dataclass(frozen=True)
class RunFolder:
    """Where things lie in a run folder."""

    path: Path

    @property
    def checkpoints(self) -> Path:
        return self.path / "checkpoints"

    @property
    def best(self) -> Path:
        return self.checkpoints / "best.ckpt"

    @property
    def log(self) -> Path:
        return self.path / "log.jsonl"


@contextlib.contextmanager
def opened(path: Path, *, resume: bool, writes: bool = True) -> Iterator[RunFolder]:
    """Make the folder and hold its lock.

    Raises:
        TrainingError: another run holds it, or it has checkpoints and `resume` is not set.
        OutputError: it cannot be made.
    """
    folder = RunFolder(path)
    if not writes:
        yield folder
        return
    old = checkpoint.found(folder.checkpoints)
    if old and not resume:
        raise TrainingError(f"{path} holds a training already ({old[-1].name}): resume it, or choose another folder")
    try:
        folder.checkpoints.mkdir(parents=True, exist_ok=True)
        lock = (path / ".lock").open("w")
    except OSError as error:
        raise OutputError(f"cannot write into {path}: {error.strerror or error}; choose another folder") from error
    with lock:
        if fcntl is not None:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                raise TrainingError(f"another run is training in {path}; wait for it or choose another folder") from None
        yield folder
