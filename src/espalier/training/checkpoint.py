"""Checkpoints: written beside and renamed, sealed with a digest, the last two kept, never unsafely read."""

import hashlib
import io
import pickle
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from espalier.files import replacing
from espalier.training.errors import TrainingError

MAGIC = b"espalier-checkpoint-1\n"
KEPT = 2


class DamagedCheckpointWarning(UserWarning):
    """A checkpoint cannot be read; an older one is used."""


def write_checkpoint(path: Path, state: Mapping[str, Any]) -> None:
    """Write tensors, numbers, strings, lists and dicts of them.

    Raises:
        OutputError: the disk is full or the folder cannot be written; an earlier file stays whole.
    """
    buffer = io.BytesIO()
    torch.save(dict(state), buffer)
    payload = buffer.getvalue()
    with replacing(path) as temporary:
        temporary.write_bytes(MAGIC + _digest(payload) + payload)


def read_checkpoint(path: Path) -> dict[str, Any]:
    """Read what `write_checkpoint` wrote.

    Raises:
        TrainingError: the file is missing, cut short, altered, or something else.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        raise TrainingError(f"cannot read the checkpoint {path}: {error.strerror or error}") from error
    start = len(MAGIC) + 32
    magic, digest, payload = data[: len(MAGIC)], data[len(MAGIC) : start], data[start:]
    if magic != MAGIC or _digest(payload) != digest:
        raise TrainingError(f"{path} is not a whole checkpoint: its digest does not fit its content")
    try:
        return torch.load(io.BytesIO(payload), map_location="cpu", weights_only=True)
    except (RuntimeError, pickle.UnpicklingError) as error:
        raise TrainingError(f"{path} cannot be read by this version of torch: {error}") from error


def save_checkpoint(folder: Path, step: int, state: Mapping[str, Any]) -> Path:
    """Write the checkpoint of `step` and remove all but the last two."""
    path = folder / f"step-{step:09d}.ckpt"
    write_checkpoint(path, state)
    for old in list_checkpoints(folder)[:-KEPT]:
        old.unlink(missing_ok=True)
    return path


def list_checkpoints(folder: Path) -> list[Path]:
    """All checkpoints of a folder, the newest last."""
    return sorted(folder.glob("step-*.ckpt"))


def newest_checkpoint(folder: Path) -> dict[str, Any] | None:
    """The newest whole checkpoint; a damaged one is passed over with a warning. None where there is none.

    Raises:
        TrainingError: there are checkpoints, and all are damaged.
    """
    paths = list_checkpoints(folder)
    for path in reversed(paths):
        try:
            return read_checkpoint(path)
        except TrainingError as error:
            message = f"{error}; going back to the one before"
            warnings.warn(message, DamagedCheckpointWarning, stacklevel=2)
    if paths:
        raise TrainingError(f"all {len(paths)} checkpoints in {folder} are damaged; start in another folder")
    return None


def _digest(payload: bytes) -> bytes:
    return hashlib.blake2b(payload, digest_size=32).digest()
