"""A person's own code as a network."""

from pathlib import Path

import pytest
import torch

from espalier.costs import count
from espalier.errors import NetworkError
from espalier.networks import file
from espalier.networks.load import load
from espalier.networks.network import Base, Network

CODE = """
import warnings
import torch
from torch import nn

class Mine(nn.Module):
    def __init__(self, scale=3):
        super().__init__()
        self.up = nn.Sequential(nn.Conv2d(3, 3 * scale ** 2, 3, padding=1), nn.PixelShuffle(scale))
    def forward(self, x):
        return self.up(x)

class Halving(Mine):
    def forward(self, x):
        small = nn.functional.avg_pool2d(x, 8)
        return self.up(x) + nn.functional.interpolate(small, scale_factor=24)

class Loud(Mine):
    range = 255
    multiple_of = 4
    scale = "unrelated"

def make():
    torch.manual_seed(0)
    return Mine()

def enlarged():
    net = nn.Conv2d(1, 1, 3, padding=1)
    net.luma, net.enlarged, net.scale = True, True, 2
    return net

def odd():
    return nn.Upsample(scale_factor=1.5)

def wrong():
    return 5

def broken():
    raise ValueError("no such weights")

def served():
    net = make().half().requires_grad_(False)
    return nn.DataParallel(net)

def scripted():
    with warnings.catch_warnings(action="ignore"):
        return torch.jit.script(make())

def picky():
    class Picky(nn.Module):
        def forward(self, x):
            raise RuntimeError("never content")
    return Picky()
"""


@pytest.fixture
def mine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    name = f"code_{abs(hash(tmp_path))}"
    (tmp_path / f"{name}.py").write_text(CODE)
    monkeypatch.chdir(tmp_path)
    return name


def run_on_ones(network: Network) -> torch.Tensor:
    with torch.no_grad():
        return network(torch.ones(1, 3, 5, 6))


def run(network: Network, height: int = 11, width: int = 14) -> tuple[int, ...]:
    with torch.no_grad():
        return tuple(network(torch.rand(1, 3, height, width)).shape)


def test_scale_is_measured(mine: str) -> None:
    network = load(f"{mine}:make")
    assert network.scale == 3
    assert network.base.kind == "factory"
    assert run(network) == (1, 3, 33, 42)


def test_what_was_made_for_running_can_learn_again(mine: str) -> None:
    network = load(f"{mine}:served")
    assert type(network.body).__name__ == "Mine"
    assert all(p.requires_grad and p.dtype == torch.float32 for p in network.parameters())


def test_a_module_is_copied_and_its_class_remembered(mine: str, tmp_path: Path) -> None:
    module = type(load(f"{mine}:make").body)().requires_grad_(False).train()
    network = load(module)
    assert (network.scale, network.name, network.base) == (3, "Mine", Base("factory", f"{mine}:Mine"))
    assert not any(p.requires_grad for p in module.parameters())
    assert module.training
    file.save(network, tmp_path / "mine.safetensors")
    assert torch.equal(run_on_ones(load(tmp_path / "mine.safetensors")), run_on_ones(network))
    assert load(torch.nn.DataParallel(module)).base == network.base
    with pytest.raises(NetworkError, match="Mine is a network for x3, but x2 was asked for"):
        load(module, scale=2)


def test_a_module_that_nothing_builds_again_does_all_but_be_saved(mine: str, tmp_path: Path) -> None:
    network = load(type(load(f"{mine}:make").body)(scale=2))
    assert (network.scale, network.base.kind) == (2, "object")
    assert count(network, (8, 8)).macs > 0
    with pytest.raises(
        NetworkError, match=r"Mine was given as a module.* load it as \"package.module:function\""
    ):
        file.save(network, tmp_path / "mine.safetensors")
    assert not list(tmp_path.glob("*.safetensors"))


def test_a_network_is_copied(mine: str) -> None:
    network = load(f"{mine}:make")
    again = load(network)
    assert again is not network
    assert again.base == network.base


def test_sizes_that_it_takes_are_measured(mine: str) -> None:
    network = load(f"{mine}:Halving")
    assert network.adapter.multiple_of == 8
    assert run(network) == (1, 3, 33, 42)


def test_attributes_say_what_differs(mine: str) -> None:
    loud = load(f"{mine}:Loud")
    assert (loud.adapter.range, loud.adapter.multiple_of, loud.scale) == (255.0, 4, 3)
    network = load(f"{mine}:enlarged")
    assert network.scale == 2
    assert run(network) == (1, 3, 22, 28)


@pytest.mark.parametrize(
    ("function", "message"),
    [
        ("mak", "did you mean 'make'"),
        ("wrong", "returned int"),
        ("scripted", "is a scripted network"),
        ("broken", "ValueError: no such weights"),
        ("odd", "whole multiple"),
        ("picky", "never content"),
    ],
)
def test_mistakes(mine: str, function: str, message: str) -> None:
    with pytest.raises(NetworkError, match=message):
        load(f"{mine}:{function}")


def test_module_that_is_not_there() -> None:
    with pytest.raises(NetworkError, match="cannot import no_such_package"):
        load("no_such_package.networks:make")


def test_python_itself_is_never_called() -> None:
    with pytest.raises(NetworkError, match="part of Python itself"):
        load("os:abort")
