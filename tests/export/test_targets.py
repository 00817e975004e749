"""Every target writes a file that its own runtime runs as torch does."""

import json
from pathlib import Path

import pytest
import torch

from espalier import export
from espalier.errors import MissingExtraError, NetworkError
from espalier.export import Request, target, verify
from espalier.export.target import need
from espalier.export.verify import TOLERANCE
from espalier.networks.load import load
from espalier.networks.network import Network
from espalier.plan import PrunePlan
from espalier.sparsity import choose, keep_, weights
from espalier.surgery import apply_
from tests import zoo

ANY = Request()
IMAGE = torch.rand(1, 3, 80, 90, generator=torch.Generator().manual_seed(1))


def pruned() -> Network:
    entry = zoo.find("edsr")
    network, found = zoo.network(entry), zoo.channels(entry)
    group = found.prunable[0]
    plan: PrunePlan = found.plan({group.name: list(range(group.channels // 2))})
    apply_(network.body, plan)
    network.plans = (plan,)
    return network


def check(name: str, network: Network, path: Path, request: Request = ANY) -> export.Exported:
    written = target(name).write(network, path, request)
    found = verify(target(name), network, path, written, request, IMAGE)
    assert found.passed, found
    assert len({m.size for m in found.matches}) == (1 if written.size else 2)
    return written


def test_targets_are_found_by_file_name() -> None:
    assert {"ncnn", "onnx", "openvino", "pt2", "pth"} <= set(export.targets())
    assert not {"job", "photograph", "standard", "target", "trace", "verify"} & set(export.targets())
    with pytest.raises(NetworkError, match=r"'tflite'.*onnx, openvino, pt2"):
        target("tflite")


def test_a_missing_package_is_named_with_its_extra() -> None:
    with pytest.raises(MissingExtraError, match=r"pip install 'espalier\[ncnn\]'"):
        need("ncnn", ("no_such_package",))


def test_pt2_of_a_pruned_network_takes_any_size(tmp_path: Path) -> None:
    network = pruned()
    written = check("pt2", network, tmp_path / "a.pt2")
    assert written == export.Exported(None)
    told = {"espalier": ""}
    with (tmp_path / "a.pt2").open("rb") as file:
        torch.export.load(file, extra_files=told)
    metadata = json.loads(told["espalier"])
    assert metadata["scale"] == 2
    assert 6 in metadata["plans"][0]["channels"].values()
    assert target("pt2").reader(tmp_path / "a.pt2")(IMAGE.repeat(3, 1, 1, 1)).shape == (3, 3, 160, 180)


def test_a_fixed_size_and_sixteen_bits(tmp_path: Path) -> None:
    request = Request((32, 48), half=True)
    network = zoo.network(zoo.find("edsr"))
    assert check("pt2", network, tmp_path / "a.pt2", request).size == (32, 48)
    with pytest.raises(NetworkError, match="does not run"):
        verify(target("pt2"), network, tmp_path / "a.pt2", export.Exported(None), request, IMAGE)


def test_a_luma_network_fed_an_enlargement_is_exported_whole(tmp_path: Path) -> None:
    network = zoo.network(zoo.find("vdsr"))
    assert network.adapter.enlarged
    assert check("pt2", network, tmp_path / "a.pt2").size is None


def test_onnx_of_a_pruned_network_is_one_file_that_takes_any_size(tmp_path: Path) -> None:
    onnx = pytest.importorskip("onnx")
    pytest.importorskip("onnxscript")
    pytest.importorskip("onnxruntime")
    network = pruned()
    path = tmp_path / "a.onnx"
    assert check("onnx", network, path) == export.Exported(None)
    assert [f.name for f in tmp_path.iterdir()] == ["a.onnx"]
    told = {prop.key: prop.value for prop in onnx.load(path).metadata_props}
    assert (told["scale"], told["range"]) == ("2", "1")
    assert json.loads(told["espalier"])["plans"][0]["channels"]
    with pytest.raises(NetworkError, match="does not run on 9x8 pixels"):
        target("onnx").reader(path)(torch.zeros(1, 4, 8, 9))


def test_pth_is_read_by_name_alone(tmp_path: Path) -> None:
    network = zoo.network(zoo.find("edsr"))
    check("pth", network, tmp_path / "a.pth")
    with pytest.raises(NetworkError, match=r"pruned freely.*--keep-architecture"):
        target("pth").write(pruned(), tmp_path / "b.pth", Request())
    with pytest.raises(NetworkError, match="--half"):
        target("pth").write(network, tmp_path / "b.pth", Request(half=True))
    assert not (tmp_path / "b.pth").exists()


def test_native_files_of_sparse_networks_in_16_bits_keep_their_zeros(tmp_path: Path) -> None:
    network = zoo.network(zoo.find("edsr"))
    keep_(network, choose({n: w.detach().abs() for n, w in weights(network).items()}, 0.9))
    whole, half = tmp_path / "a.safetensors", tmp_path / "b.safetensors"
    check("native", network, whole)
    check("native", network, half, Request(half=True))
    again = load(half)
    assert all(torch.equal(mask, again.masks[name]) for name, mask in network.masks.items())
    values = sum(int(mask.sum()) for mask in network.masks.values())
    assert whole.stat().st_size - half.stat().st_size > 2 * values
    with pytest.raises(NetworkError, match="--fixed"):
        target("native").write(network, whole, Request((8, 8)))


def test_another_network_does_not_pass(tmp_path: Path) -> None:
    network = zoo.network(zoo.find("edsr"))
    written = target("pth").write(network, tmp_path / "a.pth", Request())
    torch.nn.init.normal_(next(network.body.parameters()), std=0.1)
    found = verify(target("pth"), network, tmp_path / "a.pth", written, Request(), IMAGE)
    assert not found.passed
    assert found.difference > TOLERANCE
    assert found.to_dict()["passed"] is False
    assert all(0 < match.psnr < 80 for match in found.matches)


def test_nan_does_not_pass(tmp_path: Path) -> None:
    network = load("edsr(scale=2, blocks=1, channels=4)")
    torch.nn.init.constant_(next(network.body.parameters()), float("nan"))
    written = target("pth").write(network, tmp_path / "a.pth", Request())
    assert not verify(target("pth"), network, tmp_path / "a.pth", written, Request(), IMAGE).passed


def test_a_network_that_magnifies_rounding_is_told_from_a_wrong_file(tmp_path: Path) -> None:
    network = load("edsr(scale=2, blocks=1, channels=4)")
    written = target("pth").write(network, tmp_path / "a.pth", Request())
    with torch.no_grad():
        list(network.body.parameters())[-1].mul_(1e8).add_(1e8)
    found = verify(target("pth"), network, tmp_path / "a.pth", written, Request(), IMAGE)
    assert found.rounding is not None
    assert found.rounding > 1e-2
    network = load("edsr(scale=2, blocks=1, channels=4)")
    found = verify(target("pth"), network, tmp_path / "a.pth", written, Request(), IMAGE)
    assert found.rounding is not None
    assert found.rounding < 1e-5


PACKAGE = {"onnx": "onnxruntime", "openvino": "openvino", "ncnn": "ncnn", "pt2": "torch"}


@pytest.mark.slow
@pytest.mark.parametrize("name", PACKAGE)
@zoo.each()
def test_every_network_of_the_zoo(entry: zoo.Entry, name: str, tmp_path: Path) -> None:
    pytest.importorskip(PACKAGE[name])
    path, network = tmp_path / f"a{target(name).SUFFIX}", zoo.network(entry)
    if name == "ncnn" and "spandrel." in entry.reference:  # it may refuse in words, but not write wrongly
        try:
            target(name).write(network, path, ANY)
        except NetworkError as error:
            if "try --to onnx or openvino" not in str(error) or path.exists():
                raise
            pytest.skip(str(error))
    check(name, network, path)
