"""Tensorboard, where it is installed."""

import sys
from pathlib import Path

import pytest

from espalier.errors import MissingExtraError
from espalier.training.board import board, scalars
from espalier.training.log import Point

POINT = Point(5, 1e-3, {"l1": 0.1, "total": 0.1}, {"psnr": 30.0}, {"sparsity": 0.5}, 2.0)


def test_names() -> None:
    assert scalars(POINT) == {
        "loss/l1": 0.1,
        "loss/total": 0.1,
        "score/psnr": 30.0,
        "method/sparsity": 0.5,
        "train/lr": 1e-3,
        "train/steps per second": 2.0,
    }


def test_points_are_written(tmp_path: Path) -> None:
    pytest.importorskip("tensorboard")
    board(tmp_path)(POINT)
    assert [path.name.startswith("events.out") for path in tmp_path.iterdir()] == [True]


def test_without_it_the_extra_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", None)
    with pytest.raises(MissingExtraError, match=r"espalier\[tensorboard\]"):
        board(tmp_path)
