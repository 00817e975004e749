"""OpenVINO runs what torch runs, from two files that hold everything."""

from pathlib import Path

import pytest
import torch

from espalier.errors import NetworkError
from espalier.export import Exported, Request, openvino, verify
from espalier.networks.load import load
from tests import zoo

pytest.importorskip("openvino", reason="needs the extra openvino")
pytest.importorskip("onnxscript", reason="needs the extra openvino")

IMAGE = torch.rand(1, 3, 80, 90, generator=torch.Generator().manual_seed(1))
SMALL = "edsr(scale=2, blocks=1, channels=8)"


def test_a_file_of_any_size_and_batch(tmp_path: Path) -> None:
    path = tmp_path / "a.xml"
    network = load(SMALL)
    assert openvino.write(network, path, Request()) == Exported(None)
    assert sorted(f.name for f in tmp_path.iterdir()) == ["a.bin", "a.xml"]
    assert verify(openvino, network, path, Exported(None), Request(), IMAGE).passed
    loaded = openvino.opened(path)
    assert loaded.shape == (None, 3, None, None)
    assert loaded.run(IMAGE.repeat(2, 1, 1, 1)).shape == (2, 3, 160, 180)
    assert (loaded.metadata["scale"], loaded.metadata["range"]) == (2, 1.0)
    with pytest.raises(NetworkError, match="does not run on 9x8 pixels"):
        loaded.run(torch.zeros(1, 4, 8, 9))


def test_sixteen_bits_take_half_the_space(tmp_path: Path) -> None:
    path, request = tmp_path / "a.xml", Request((24, 32), half=True)
    network = zoo.network(zoo.find("fsrcnn"))
    written = openvino.write(network, path, request)
    assert written.size == (24, 32)
    found = verify(openvino, network, path, written, request, IMAGE)
    assert 1e-6 < found.difference < 2e-2
    loaded = openvino.opened(path)
    assert loaded.shape[2:] == (24, 32)
    assert loaded.metadata["half"] is True
    weights = sum(tensor.numel() for tensor in network.parameters())
    assert (tmp_path / "a.bin").stat().st_size < 3 * weights


def test_what_is_no_model_is_told(tmp_path: Path) -> None:
    with pytest.raises(NetworkError, match=r"a\.onnx: its runtime wants a name that ends in \.xml"):
        openvino.write(load(SMALL), tmp_path / "a.onnx", Request())
    (tmp_path / "a.xml").write_text("<net/>")
    with pytest.raises(NetworkError, match=r"cannot load .*a\.xml with its \.bin: OpenVINO says"):
        openvino.opened(tmp_path / "a.xml")
