"""The native file: equal outputs in a fresh process, and one message for whatever is wrong."""

import dataclasses
import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import nn

from espalier.errors import NetworkError, OutputError
from espalier.networks.checkpoint import read_safetensors
from espalier.networks.file import KEY, read_metadata, save
from espalier.networks.load import load
from espalier.networks.network import Network
from espalier.plan import Cut, PrunePlan
from espalier.surgery import apply_
from tests.networks.zoo import TINY

RERUN = """
import sys, torch
from espalier.networks.load import load
torch.set_num_threads(1)  # as in the tests: more of them add in another order
image = torch.load(sys.argv[2], weights_only=True)
with torch.no_grad():
    torch.save(load(sys.argv[1])(image), sys.argv[3])
"""


def narrowed(network: Network) -> Network:
    """An EDSR whose first block lost its second and third inner channels."""
    cuts = [("weight", 0), ("bias", 0)]
    size = network.body.get_parameter("body.0.body.0.weight").shape[0]
    kept = (0, *range(3, size))
    plan = PrunePlan(
        (
            *(Cut(f"body.0.body.0.{name}", dim, size, kept) for name, dim in cuts),
            Cut("body.0.body.2.weight", 1, size, kept),
        ),
        notes={"why": "test"},
    )
    apply_(network.body, plan)
    network.plans = (*network.plans, plan)
    return network


def same_in_a_fresh_process(network: Network, folder: Path) -> bool:
    image = torch.rand(1, 3, 17, 19)
    torch.save(image, folder / "image.pt")
    save(network, folder / "net.safetensors")
    arguments = [folder / "net.safetensors", folder / "image.pt", folder / "out.pt"]
    subprocess.run([sys.executable, "-c", RERUN, *map(str, arguments)], check=True)
    with torch.no_grad():
        return torch.equal(network(image), torch.load(folder / "out.pt", weights_only=True))


def test_a_pruned_network_is_equal_in_a_fresh_process(tmp_path: Path) -> None:
    network = narrowed(load("edsr(scale=2, blocks=2, channels=6)"))
    assert same_in_a_fresh_process(network, tmp_path)
    assert load(tmp_path / "net.safetensors").plans == network.plans


@pytest.mark.parametrize("reference", [*TINY.values(), "spandrel.RealPLKSR(dim=8, n_blocks=1)"])
def test_everything_comes_back(reference: str, tmp_path: Path) -> None:
    network = load(reference)
    save(network, tmp_path / "net.safetensors", metadata={"steps": 5})
    again = load(tmp_path / "net.safetensors")
    assert (again.name, again.scale, again.base, again.adapter) == (
        network.name,
        network.scale,
        network.base,
        network.adapter,
    )
    image = torch.rand(1, 3, 20, 16)
    with torch.no_grad():
        assert torch.equal(again(image), network(image))
    assert read_metadata(tmp_path / "net.safetensors") == {"steps": 5}


def test_tuples_stay_tuples(tmp_path: Path) -> None:
    network = load("fmen(channels=4, squeezed=(2, 2), depths=(1, 1))")
    save(network, tmp_path / "net.safetensors")
    assert load(tmp_path / "net.safetensors").base.arguments["depths"] == (1, 1)


def test_precision_is_kept(tmp_path: Path) -> None:
    network = load("edsr(blocks=1, channels=4)").double()
    save(network, tmp_path / "net.safetensors")
    assert next(load(tmp_path / "net.safetensors").parameters()).dtype == torch.float64


def test_a_persons_own_network(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    code = (
        "import torch\nclass Tied(torch.nn.Module):\n"
        "    def __init__(self):\n        super().__init__()\n"
        "        self.a = torch.nn.Conv2d(3, 3, 3, padding=1)\n        self.b = self.a\n"
        "    def forward(self, x):\n        return self.b(self.a(x))\n"
    )
    (tmp_path / "tied_network.py").write_text(code)
    monkeypatch.chdir(tmp_path)
    network = load("tied_network:Tied")
    save(network, tmp_path / "net.safetensors")
    assert sorted(load_file(tmp_path / "net.safetensors")) == ["a.bias", "a.weight"]
    again = load(tmp_path / "net.safetensors")
    image = torch.rand(1, 3, 8, 8)
    with torch.no_grad():
        assert torch.equal(again(image), network(image))
    assert isinstance(again.body.a, nn.Conv2d)
    assert again.body.a is again.body.b


def changed(path: Path, **changes: object) -> None:
    tensors, header = read_safetensors(path)
    record = json.loads(header[KEY]) | changes
    save_file(tensors, path, {KEY: json.dumps(record)})


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"format": 99}, "newer Espalier"),
        ({"base": {}}, "header is damaged"),
        ({"plans": ["{}"]}, "header is damaged"),
        ({"base": {"kind": "own", "name": "edsr", "arguments": {"blocks": 3}}}, "do not fit"),
        ({"base": {"kind": "own", "name": "edsrr", "arguments": {}}}, "did you mean 'edsr'"),
        ({"base": {"kind": "factory", "name": "os:abort", "arguments": {}}}, "part of Python itself"),
        (
            {"base": {"kind": "spandrel", "name": "os:system", "arguments": {"command": "false"}}},
            "no class of",
        ),
        ({"base": {"kind": "magic", "name": "x", "arguments": {}}}, "no way is known"),
    ],
)
def test_a_header_that_does_not_fit(changes: dict[str, object], message: str, tmp_path: Path) -> None:
    path = tmp_path / "net.safetensors"
    save(load("edsr(scale=2, blocks=1, channels=4)"), path)
    changed(path, **changes)
    with pytest.raises(NetworkError, match=message):
        load(path)


def test_a_plan_that_does_not_fit_is_named(tmp_path: Path) -> None:
    path = tmp_path / "net.safetensors"
    network = narrowed(load("edsr(scale=2, blocks=1, channels=6)"))
    save(network, path)
    wrong = dataclasses.replace(network.plans[0].cuts[0], size=99, kept=(0, 98))
    changed(path, plans=[PrunePlan((wrong,)).to_json()])
    with pytest.raises(NetworkError, match="its pruning plan 1 does not fit its base"):
        load(path)


def test_scale_of_the_file_is_checked(tmp_path: Path) -> None:
    save(load("edsr(scale=2, blocks=1, channels=4)"), tmp_path / "net.safetensors")
    with pytest.raises(NetworkError, match="x2, but x4"):
        load(tmp_path / "net.safetensors", scale=4)


def test_metadata_of_a_foreign_file(tmp_path: Path) -> None:
    save_file({"a": torch.zeros(1)}, tmp_path / "net.safetensors")
    with pytest.raises(NetworkError, match="not written by Espalier"):
        read_metadata(tmp_path / "net.safetensors")


def test_unwritable_place(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(OutputError):
        save(load("edsr(scale=2, blocks=1, channels=4)"), tmp_path / "file" / "net.safetensors")
    assert list(tmp_path.iterdir()) == [tmp_path / "file"]
