"""Wrong input at the command line: exit code 2 and one line, never a traceback."""

import pickle
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from espalier import cli
from tests.recipes.conftest import TINY


@pytest.fixture
def refused(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]):
    """Run a command line that must fail; gives its one line."""

    def run(*arguments: object) -> str:
        monkeypatch.setattr(sys, "argv", ["espalier", *map(str, arguments)])
        with pytest.raises(SystemExit) as caught:
            cli.main()
        assert caught.value.code == 2
        told = [
            line
            for line in capsys.readouterr().err.splitlines()
            if not line.startswith(("pruning", "proven")) and "MB of pixels in" not in line
        ]
        assert len(told) == 1, told
        assert told[0].startswith("espalier: ")
        return told[0]

    return run


def test_an_empty_folder(refused, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    assert "no images in" in refused("evaluate", TINY, "--data", tmp_path / "empty")
    assert "no images in" in refused(
        "compress", TINY, "--data", tmp_path / "empty", "--out", tmp_path / "run"
    )


def test_a_text_file_named_pth(refused, tmp_path: Path) -> None:
    (tmp_path / "net.pth").write_text("not a network\n")
    assert "net.pth" in refused("inspect", tmp_path / "net.pth")


class Payload:
    def __reduce__(self):
        return (Path.touch, (Path("ran.txt").absolute(),))


def test_a_pickle_with_code_in_it_is_refused_and_not_run(refused, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "net.pth").write_bytes(pickle.dumps({"state": Payload()}))
    assert "net.pth" in refused("evaluate", "net.pth", "--data", tmp_path)
    assert not (tmp_path / "ran.txt").exists()


def test_a_truncated_native_file(refused, tmp_path: Path) -> None:
    from espalier.networks.file import save
    from espalier.networks.load import load

    save(load(TINY), tmp_path / "net.safetensors")
    data = (tmp_path / "net.safetensors").read_bytes()
    (tmp_path / "net.safetensors").write_bytes(data[: len(data) // 2])
    assert "net.safetensors" in refused("inspect", tmp_path / "net.safetensors")


@pytest.mark.parametrize(
    "budget", ["macs=0", "macs=2", "macs=1", "macs=-1", "ratio=1", "half", "macs=", "watts=0.5"]
)
def test_budgets_that_are_none(refused, photos: Path, tmp_path: Path, budget: str) -> None:
    assert "budget" in refused(
        "compress", TINY, "--data", photos, "--out", tmp_path / "run", "--budget", budget
    )
    assert not (tmp_path / "run").exists()


def test_a_place_that_cannot_be_written(refused, photos: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    assert "cannot write" in refused("compress", TINY, "--data", photos, "--out", tmp_path / "file" / "run")


def test_a_full_disk(refused, photos: Path, tmp_path: Path, monkeypatch) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("espalier.networks.file.save_file", full)
    told = refused("compress", TINY, "--data", photos, "--out", tmp_path / "run", "--recover", 0)
    assert "No space left on device" in told


def test_a_wrong_scale(refused, photos: Path) -> None:
    refused("evaluate", TINY, "--data", photos, "--scale", 3)


def test_no_such_device(refused, photos: Path, tmp_path: Path) -> None:
    told = refused("compress", TINY, "--data", photos, "--out", tmp_path / "run", "--device", "abacus")
    assert "abacus" in told


def test_report_of_no_run(refused, tmp_path: Path) -> None:
    assert "is not a run folder" in refused("report", tmp_path)
    assert "needs a run folder" in refused("report")


def test_grey_and_sixteen_bit_images_are_measured(tmp_path: Path, monkeypatch, capsys) -> None:
    values = np.add.outer(np.arange(40), np.arange(48)) * 700
    Image.fromarray(values.astype(np.uint16)).save(tmp_path / "deep.png")
    Image.fromarray((values >> 8).astype(np.uint8)).save(tmp_path / "grey.png")
    monkeypatch.setattr(sys, "argv", ["espalier", "evaluate", TINY, "--data", str(tmp_path), "--no-timing"])
    cli.main()
    shown = capsys.readouterr().out
    assert "deep" in shown
    assert "grey" in shown
