"""Checkpoints: whole or not at all."""

from pathlib import Path

import pytest
import torch

from espalier.errors import OutputError
from espalier.training.checkpoint import (
    DamagedCheckpointWarning,
    list_checkpoints,
    newest_checkpoint,
    read_checkpoint,
    save_checkpoint,
    write_checkpoint,
)
from espalier.training.errors import TrainingError


def test_round_trip(tmp_path: Path) -> None:
    state = {
        "step": 3,
        "network": {"w": torch.rand(2, 2)},
        "plans": ["{}"],
        "best": -float("inf"),
        "ema": None,
    }
    write_checkpoint(tmp_path / "a.ckpt", state)
    back = read_checkpoint(tmp_path / "a.ckpt")
    assert torch.equal(back.pop("network")["w"], state.pop("network")["w"])
    assert back == state


def test_two_are_kept(tmp_path: Path) -> None:
    for step in (1, 2, 10):
        save_checkpoint(tmp_path, step, {"step": step})
    assert [path.name for path in list_checkpoints(tmp_path)] == [
        "step-000000002.ckpt",
        "step-000000010.ckpt",
    ]


@pytest.mark.parametrize("length", [0, 10, 40, -1])
def test_cut_short_files_are_noticed(tmp_path: Path, length: int) -> None:
    save_checkpoint(tmp_path, 1, {"step": 1})
    last = save_checkpoint(tmp_path, 2, {"step": 2})
    last.write_bytes(last.read_bytes()[:length])
    with pytest.warns(DamagedCheckpointWarning, match="step-000000002"):
        assert newest_checkpoint(tmp_path) == {"step": 1}


def test_all_damaged_is_an_error(tmp_path: Path) -> None:
    save_checkpoint(tmp_path, 1, {"step": 1}).write_bytes(b"")
    with pytest.warns(DamagedCheckpointWarning), pytest.raises(TrainingError, match="all 1 checkpoints"):
        newest_checkpoint(tmp_path)


def test_none_there(tmp_path: Path) -> None:
    assert newest_checkpoint(tmp_path) is None
    with pytest.raises(TrainingError, match="cannot read"):
        read_checkpoint(tmp_path / "none.ckpt")


def test_a_full_disk_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = save_checkpoint(tmp_path, 1, {"step": 1})

    def full(_path: Path, _data: bytes) -> int:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(OutputError, match="No space left"):
        save_checkpoint(tmp_path, 1, {"step": 1, "more": 2})
    monkeypatch.undo()
    assert read_checkpoint(path) == {"step": 1}
    assert list(tmp_path.iterdir()) == [path]


def test_code_in_a_checkpoint_is_refused(tmp_path: Path) -> None:
    class Evil:
        def __reduce__(self) -> tuple:
            return (print, ("owned",))

    write_checkpoint(tmp_path / "evil.ckpt", {"step": Evil()})
    with pytest.raises(TrainingError, match="cannot be read"):
        read_checkpoint(tmp_path / "evil.ckpt")
