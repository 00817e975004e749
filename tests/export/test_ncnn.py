"""ncnn runs what torch runs, from two files that Upscayl and others load."""

from pathlib import Path

import pytest
import torch

from espalier.errors import NetworkError
from espalier.export import Exported, Request, ncnn, verify
from espalier.networks.load import load
from espalier.networks.network import Network
from tests import zoo

IMAGE = torch.rand(1, 3, 80, 90, generator=torch.Generator().manual_seed(1))
ANY = Request()
SMALL = "edsr(scale=2, blocks=1, channels=8)"
PARAM = """7767517
3 3
Input in0 0 1 in0
Split splitncnn_0 1 2 in0 1 2
BinaryOp out0 2 1 1 2 out0 0=2
"""


@pytest.fixture
def installed() -> None:
    pytest.importorskip("ncnn", reason="needs the extra ncnn")
    pytest.importorskip("pnnx", reason="needs the extra ncnn")


def check(network: Network, path: Path, request: Request = ANY) -> Exported:
    written = ncnn.write(network, path, request)
    found = verify(ncnn, network, path, written, request, IMAGE)
    assert found.passed, found
    return written


@pytest.mark.usefixtures("installed")
def test_a_file_of_any_size_with_the_names_that_programs_ask_for(tmp_path: Path) -> None:
    path = tmp_path / "x2.param"
    assert check(load(SMALL), path) == Exported(None, ncnn.ALONE)
    assert sorted(f.name for f in tmp_path.iterdir()) == ["x2.bin", "x2.param"]
    lines = [line.split() for line in path.read_text().splitlines()]
    assert lines[2][0] == "Input"
    assert lines[2][4] == "data"
    assert [line for line in lines[2:] if "output" in line[4:]] == lines[-1:]
    loaded = ncnn.opened(path)
    assert loaded.metadata["scale"] == 2
    assert loaded.shape == (1, 3, None, None)
    assert loaded.run(IMAGE.repeat(2, 1, 1, 1)).shape == (2, 3, 160, 180)


@pytest.mark.usefixtures("installed")
def test_a_luma_network_is_converted_whole(tmp_path: Path) -> None:
    network = zoo.network(zoo.find("fsrcnn"))
    assert network.adapter.luma
    assert check(network, tmp_path / "a.param").size is None


@pytest.mark.usefixtures("installed")
def test_sixteen_bits_and_one_size(tmp_path: Path) -> None:
    network = load("imdn(scale=2, blocks=1, channels=16)")
    full = check(network, tmp_path / "a.param", Request((24, 32)))
    half = check(network, tmp_path / "b.param", Request((24, 32), half=True))
    assert full == half == Exported((24, 32), ncnn.ALONE)
    sizes = [(tmp_path / name).stat().st_size for name in ("a.bin", "b.bin")]
    assert sizes[1] < 0.6 * sizes[0]
    assert ncnn.opened(tmp_path / "b.param").shape == (1, 3, 24, 32)


@pytest.mark.usefixtures("installed")
def test_what_cannot_be_left_open_is_fixed_and_said(tmp_path: Path) -> None:
    written = check(zoo.network(zoo.find("smfanet")), tmp_path / "a.param")
    assert written.size is not None
    assert "could not be left open (ncnn has no layer for F.adaptive_max_pool2d" in written.note


@pytest.mark.usefixtures("installed")
def test_files_that_do_not_load(tmp_path: Path) -> None:
    (tmp_path / "a.param").write_text("words")
    with pytest.raises(NetworkError, match=r"no file .*a\.bin, which holds the weights"):
        ncnn.opened(tmp_path / "a.param")
    (tmp_path / "a.bin").write_bytes(b"")
    with pytest.raises(NetworkError, match="ncnn does not read it"):
        ncnn.opened(tmp_path / "a.param")


@pytest.mark.usefixtures("installed")
def test_a_converter_that_fails_is_quoted(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr("pnnx.EXEC_PATH", "false")
    with pytest.raises(
        NetworkError, match=r"edsr cannot be exported: pnnx cannot convert it \(exit 1\).*--to onnx"
    ):
        ncnn.write(load(SMALL), tmp_path / "a.param", Request((24, 32)))
    assert not list(tmp_path.iterdir())


def test_only_the_names_at_the_ends_change() -> None:
    lines = ncnn._renamed(PARAM).splitlines()
    assert lines[:2] == ["7767517", "3 3"]
    assert [line.split() for line in lines[2:]] == [
        ["Input", "in0", "0", "1", "data"],
        ["Split", "splitncnn_0", "1", "2", "data", "1", "2"],
        ["BinaryOp", "out0", "2", "1", "1", "2", "output", "0=2"],
    ]


def test_layers_that_ncnn_lacks_are_named() -> None:
    with pytest.raises(NetworkError, match=r"no layer for aten::roll, torch\.var$"):
        ncnn._renamed(PARAM + "torch.var a 1 1 1 2\naten::roll b 1 1 2 3\ntorch.var c 1 1 3 4\n")


def test_sizes_and_names_that_do_not_fit_are_told(tmp_path: Path) -> None:
    network = zoo.network(zoo.find("rlfn"))
    with pytest.raises(NetworkError, match=r"try --fixed 15x20"):
        ncnn.write(network, tmp_path / "a.param", Request((8, 20)))
    with pytest.raises(NetworkError, match=r"a: its runtime wants a name that ends in \.ncnn\.param"):
        ncnn.write(network, tmp_path / "a", Request())
