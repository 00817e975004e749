"""The run folder of one training: locked against a second run, with checkpoints and the log."""

import contextlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from espalier.errors import OutputError
from espalier.training.checkpoint import (
    list_checkpoints,
    newest_checkpoint,
    read_checkpoint,
    save_checkpoint,
    write_checkpoint,
)
from espalier.training.errors import TrainingError
from espalier.training.session import Session
from espalier.training.watch import ADVICE

try:
    import fcntl
except ImportError:  # Windows: two runs in one folder are not noticed there
    fcntl = None


@dataclass(frozen=True)
class RunFolder:
    """Where things lie in a run folder; only the worker that `writes` changes anything there."""

    path: Path
    writes: bool = True

    @property
    def checkpoints(self) -> Path:
        return self.path / "checkpoints"

    @property
    def best(self) -> Path:
        return self.checkpoints / "best.ckpt"

    @property
    def log(self) -> Path:
        return self.path / "log.jsonl"

    def save(self, session: Session) -> None:
        """Write a checkpoint, only of finite weights: the last one is always a good one.

        Raises:
            TrainingError: a weight is NaN or infinite.
        """
        if not all(torch.isfinite(parameter).all() for parameter in session.network.parameters()):
            raise TrainingError(f"a weight is no longer a number after step {session.step - 1}; {ADVICE}")
        if self.writes:
            save_checkpoint(self.checkpoints, session.step, session.state_dict())

    def save_best(self, session: Session, scores: Mapping[str, float]) -> None:
        """Keep the weights that were just validated."""
        if self.writes:
            plans = [plan.to_json() for plan in session.plans]
            state = {"step": session.step, "scores": dict(scores), "plans": plans}
            write_checkpoint(self.best, {**state, "network": session.kept.state_dict()})

    def restore(self, session: Session) -> None:
        """Go on from the last checkpoint, from the start where there is none."""
        state = newest_checkpoint(self.checkpoints)
        if state is not None:
            session.load_state_dict(state)

    def last_good(self) -> str:
        """Where training can go on from, in words."""
        found = list_checkpoints(self.checkpoints)
        return f"the last good checkpoint is {found[-1]}" if found else "no checkpoint was written yet"


def best_weights(run: Path) -> dict[str, Tensor]:
    """The weights of the best validation of the training in this run folder.

    Raises:
        TrainingError: there are none, or they cannot be read.
    """
    return read_checkpoint(RunFolder(run).best)["network"]


@contextlib.contextmanager
def opened(path: Path, *, resume: bool, writes: bool = True) -> Iterator[RunFolder]:
    """Make the folder and hold its lock.

    Raises:
        TrainingError: another run holds it, or it has checkpoints and `resume` is not set.
        OutputError: it cannot be made.
    """
    folder = RunFolder(path, writes)
    if not writes:
        yield folder
        return
    try:
        folder.checkpoints.mkdir(parents=True, exist_ok=True)
        lock = (path / ".lock").open("w")
    except OSError as error:
        reason = error.strerror or error
        raise OutputError(f"cannot write into {path}: {reason}; choose another folder") from error
    with lock:
        if fcntl is not None:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                message = f"another run is training in {path}; wait for it or choose another folder"
                raise TrainingError(message) from None
        old = list_checkpoints(folder.checkpoints)
        if old and not resume:
            message = f"{path} holds a training already ({old[-1].name}): resume it, or choose another folder"
            raise TrainingError(message)
        for part in [*path.glob(".*.part"), *folder.checkpoints.glob(".*.part")]:
            part.unlink(missing_ok=True)  # of a run that was killed while it wrote
        yield folder
