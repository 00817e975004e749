import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from espalier.errors import EspalierError, NetworkError
from espalier.export import Exported, Match, Request, Verification, job, target
from espalier.images.io import read_image
from espalier.networks.load import load
from espalier.recipes import enlarger, export, upscale
from tests.recipes.conftest import TINY


@pytest.fixture
def here(monkeypatch: pytest.MonkeyPatch):
    """Exports stay in this process, which is faster."""

    def write(network, name: str, path: Path, request: Request) -> Exported:
        return target(name).write(network, path, request)

    monkeypatch.setattr(job, "export", write)


def test_the_command_writes_in_a_process_of_its_own_and_compares(tmp_path: Path, capsys) -> None:
    path = tmp_path / "a.pt2"
    export.command(TINY, to="pt2", out=path)
    said = capsys.readouterr().out
    assert "x2, takes any size" in said
    assert "equals torch" in said
    assert path.stat().st_size > 1000


def test_a_crash_of_the_exporter_is_a_message(tmp_path: Path, monkeypatch) -> None:
    def crash(*_: object, **__: object) -> subprocess.CompletedProcess[str]:
        code = "import os, sys; print('deep trouble', file=sys.stderr, flush=True); os.kill(os.getpid(), 11)"
        return real([sys.executable, "-c", code], capture_output=True, text=True, check=False)

    real = subprocess.run
    monkeypatch.setattr(job.subprocess, "run", crash)
    with pytest.raises(NetworkError, match=r"crashed on edsr \(killed by signal 11\): deep trouble"):
        export.command(TINY, to="pt2", out=tmp_path / "a.pt2")


def test_an_error_of_the_exporter_comes_back(tmp_path: Path) -> None:
    with pytest.raises(NetworkError, match="--half and --fixed"):
        export.command(TINY, to="pth", out=tmp_path / "a.pth", half=True)
    assert not list(tmp_path.iterdir())


@pytest.mark.usefixtures("here")
def test_a_difference_leaves_the_file_and_exits_1(tmp_path: Path, monkeypatch, capsys) -> None:
    wrong = Verification((Match((8, 9), 0.5, 6.0),), 1e-4)
    monkeypatch.setattr(export, "verify", lambda *_: wrong)
    with pytest.raises(SystemExit) as caught:
        export.command(TINY, to="pth", out=tmp_path / "a.pth")
    assert caught.value.code == 1
    assert (tmp_path / "a.pth").exists()
    assert "differs from torch: 9 x 8: 5.0e-01 (6 dB)" in capsys.readouterr().out


@pytest.mark.usefixtures("here")
def test_a_file_that_is_there_stays(tmp_path: Path) -> None:
    path = tmp_path / "a.pth"
    path.write_bytes(b"mine")
    with pytest.raises(NetworkError, match="--overwrite"):
        export.command(TINY, to="pth", out=path)
    assert path.read_bytes() == b"mine"
    export.command(TINY, to="pth", out=path, overwrite=True, verify=False)
    assert load(path).scale == 2


def test_weights_that_would_be_overwritten_stay_too(tmp_path: Path) -> None:
    pytest.importorskip("openvino")
    pytest.importorskip("onnxscript")
    (tmp_path / "a.bin").write_bytes(b"mine")
    with pytest.raises(NetworkError, match=r"a\.bin is there already"):
        export.command(TINY, to="openvino", out=tmp_path / "a.xml")
    assert [f.name for f in tmp_path.iterdir()] == ["a.bin"]


def test_a_target_whose_packages_are_missing_is_told_before_anything_is_loaded(monkeypatch) -> None:
    monkeypatch.setattr(target("ncnn"), "PACKAGES", ("no_such_package",))
    with pytest.raises(EspalierError, match=r"pip install 'espalier\[ncnn\]'"):
        export.command("nowhere.pth", to="ncnn")


def test_a_network_that_magnifies_rounding_is_told() -> None:
    matches = (Match((8, 9), 0.02, 60.0),)
    told = export.verdict(Verification(matches, 1e-4, 4e-3), Path("a.onnx"))
    assert told.endswith(
        "the file stays; the network magnifies rounding: torch itself is 4.0e-03 from 64 bits here"
    )
    assert export.verdict(Verification(matches, 1e-4, 1e-7), Path("a.onnx")).endswith("the file stays")


@pytest.mark.usefixtures("here")
def test_the_file_is_named_after_the_network(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    export.command(TINY, to="pth", verify=False)
    export.command("edsr_x2.pth", to="pt2", fixed="16x24", verify=False)
    assert sorted(f.name for f in tmp_path.iterdir()) == ["edsr_x2.pt2", "edsr_x2.pth"]


@pytest.mark.parametrize("text", ["64", "0x8", "ax8", "8x8x8"])
def test_a_wrong_size_is_told(text: str) -> None:
    with pytest.raises(EspalierError, match="HEIGHTxWIDTH"):
        export.size(text)
    assert export.size("64x96") == (64, 96)


SLOW = pytest.mark.slow
RUNTIMES = {
    "onnx": ("onnxscript", "onnxruntime"),
    "openvino": ("onnxscript", "openvino"),
    "ncnn": ("pnnx", "ncnn"),
}


@pytest.mark.parametrize("name", RUNTIMES)
@pytest.mark.parametrize("fixed", [None, pytest.param((64, 80), marks=SLOW)])
def test_images_are_enlarged_with_the_exported_file(photos: Path, tmp_path: Path, name: str, fixed) -> None:
    for package in RUNTIMES[name]:
        pytest.importorskip(package)
    torch.manual_seed(0)
    path = tmp_path / f"a{target(name).SUFFIX}"
    network = load(TINY)
    target(name).write(network, path, Request(fixed))
    with torch.random.fork_rng():
        upscale.command(str(path), [photos / "photo0.png"], out=tmp_path / "out")
    found = read_image(tmp_path / "out" / "photo0.png").pixels.astype(int)
    whole = enlarger.of_network(network)
    expected = upscale.enlarge_image(whole, read_image(photos / "photo0.png")).pixels.astype(int)
    assert np.abs(found - expected).max() <= 1
    with pytest.raises(NetworkError, match="x3 was asked"):
        enlarger.open_enlarger(str(path), 3)


def test_an_onnx_file_that_is_none_is_refused(tmp_path: Path) -> None:
    pytest.importorskip("onnxruntime")
    (tmp_path / "a.onnx").write_bytes(b"words")
    for name in ("a.onnx", "nowhere.onnx"):
        with pytest.raises(NetworkError, match=name):
            enlarger.open_enlarger(str(tmp_path / name))
