"""Checkpoint files: wrappers, formats, and everything that can be wrong with one."""

import pickle
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file

from espalier.errors import NetworkError
from espalier.networks.load import load
from espalier.networks.network import Network

REFERENCE = "imdn(scale=2, blocks=2, channels=16)"


@pytest.fixture(scope="module")
def network() -> Network:
    return load(REFERENCE)


def same(path: Path, network: Network) -> bool:
    image = torch.rand(1, 3, 8, 9)
    with torch.no_grad():
        return torch.equal(load(path)(image), network(image))


@pytest.mark.parametrize(
    "wrap",
    [
        lambda s: s,
        lambda s: {"params": {k: torch.zeros_like(v) for k, v in s.items()}, "params_ema": s},
        lambda s: {"state_dict": s, "epoch": 3, "optimizer": {"state": {}}},
        lambda s: {"model": {f"module.{k}": v for k, v in s.items()}},
        lambda s: {f"module.model.{k}": v for k, v in s.items()},
        lambda s: {"net": {"params": s}},
        lambda s: {"something": s},
    ],
)
@pytest.mark.parametrize("suffix", [".pth", ".pt", ".ckpt"])
def test_wrappers_and_prefixes(wrap: Any, suffix: str, network: Network, tmp_path: Path) -> None:
    path = tmp_path / f"net{suffix}"
    torch.save(wrap(network.body.state_dict()), path)
    assert same(path, network)


def test_legacy_format_and_half_precision(network: Network, tmp_path: Path) -> None:
    state = {name: tensor.half() for name, tensor in network.body.state_dict().items()}
    torch.save(state, tmp_path / "old.pth", _use_new_zipfile_serialization=False)
    loaded = load(tmp_path / "old.pth")
    assert {tensor.dtype for tensor in loaded.body.parameters()} == {torch.float32}


def test_foreign_safetensors_of_a_known_architecture(network: Network, tmp_path: Path) -> None:
    save_file(network.body.state_dict(), tmp_path / "net.safetensors")
    assert same(tmp_path / "net.safetensors", network)


def bad_file(kind: str, folder: Path) -> Path:
    path = folder / f"{kind}.{'safetensors' if 'safe' in kind else 'pth'}"
    state = load(REFERENCE).body.state_dict()
    if kind == "text":
        path.write_text("<!DOCTYPE html><html>not found</html>")
    elif kind == "empty":
        path.touch()
    elif kind == "cut":
        torch.save(state, path)
        path.write_bytes(path.read_bytes()[:3000])
    elif kind == "legacy-cut":
        torch.save(state, path, _use_new_zipfile_serialization=False)
        path.write_bytes(path.read_bytes()[:3000])
    elif kind == "safe-cut":
        save_file(state, path)
        path.write_bytes(path.read_bytes()[:3000])
    elif kind == "safe-text":
        path.write_text("hello")
    elif kind == "code":
        path.write_bytes(pickle.dumps(Bomb()))
    elif kind == "code-in-zip":
        torch.save({"params": Bomb()}, path)
    elif kind == "module":
        torch.save(torch.nn.Conv2d(1, 1, 1), path)
    elif kind == "numbers":
        torch.save([1, 2, 3], path)
    elif kind == "foreign":
        torch.save({"fc.weight": torch.zeros(3), "conv1.weight": torch.zeros(3)}, path)
    elif kind == "misfit":
        torch.save({**state, "IMDB2.c3.weight": torch.zeros(5, 12, 3, 3)}, path)
    elif kind == "folder":
        path.mkdir()
    return path


class Bomb:
    """Would write a file when unpickled."""

    def __reduce__(self) -> tuple[Any, ...]:
        return exec, ("open('boom', 'w')",)


@pytest.mark.parametrize(
    ("kind", "message"),
    [
        ("text", "not written by torch.save"),
        ("empty", "is empty"),
        ("cut", "damaged or cut short"),
        ("legacy-cut", "damaged or cut short"),
        ("safe-cut", "no complete safetensors file"),
        ("safe-text", "no complete safetensors file"),
        ("code", "nothing was run"),
        ("code-in-zip", "nothing was run"),
        ("module", "nothing was run"),
        ("numbers", "no tensors found"),
        ("foreign", "no architecture known here"),
        ("misfit", "IMDB2.c3.weight"),
        ("folder", "is a folder"),
        ("missing", "does not exist"),
    ],
)
def test_one_clear_message(kind: str, message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = bad_file(kind, tmp_path)
    monkeypatch.chdir(tmp_path)
    with pytest.raises(NetworkError, match=message) as caught:
        load(path)
    assert str(path) in str(caught.value)
    assert not (tmp_path / "boom").exists()


def test_unknown_architecture_lists_what_is_known(tmp_path: Path) -> None:
    torch.save({"fc.weight": torch.zeros(3)}, tmp_path / "imdn_final.pth")
    with pytest.raises(NetworkError, match="did you mean 'imdn'") as caught:
        load(str(tmp_path / "imdn_final.pth"))
    assert "SwinIR" in str(caught.value)
    assert "edsr" in str(caught.value)


def test_fsrcnn_needs_a_scale_from_somewhere(tmp_path: Path) -> None:
    state = load("fsrcnn(scale=3, channels=4, shrunk=2, layers=1)").body.state_dict()
    torch.save(state, tmp_path / "net.pth")
    torch.save(state, tmp_path / "fsrcnn_x3.pth")
    with pytest.raises(NetworkError, match="say which with scale"):
        load(tmp_path / "net.pth")
    assert load(tmp_path / "net.pth", scale=4).scale == 4
    assert load(tmp_path / "fsrcnn_x3.pth").scale == 3


def test_a_multi_scale_file_gives_the_largest_or_the_one_asked_for(tmp_path: Path) -> None:
    state = {}
    for scale in (2, 3, 4):
        for name, tensor in load(f"carn(scale={scale}, channels=8, groups=2)").body.state_dict().items():
            state[name.replace("upsample.", f"upsample.up{scale}.")] = tensor
    torch.save(state, tmp_path / "multi.pth")
    assert load(tmp_path / "multi.pth").scale == 4
    assert load(tmp_path / "multi.pth", scale=2).scale == 2
    with pytest.raises(NetworkError, match="x4, but x8 was asked for"):
        load(tmp_path / "multi.pth", scale=8)
