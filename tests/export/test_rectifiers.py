from pathlib import Path

import pytest
import torch
from torch import nn

from espalier.export import Request, onnx, verify
from espalier.export.photograph import photograph
from espalier.export.rectifiers import split_prelus
from espalier.networks.network import Network
from tests.evaluation.networks import network


def compact() -> Network:
    """A PReLU of each kind, one used twice; some slopes negative."""
    torch.manual_seed(0)
    shared = nn.PReLU(6)
    layers = [nn.Conv2d(3, 6, 3, padding=1), shared, nn.Conv2d(6, 6, 3, padding=1), shared, nn.PReLU()]
    shared.weight.data.uniform_(-0.5, 1.5)
    return network(nn.Sequential(*layers, nn.Conv2d(6, 12, 3, padding=1), nn.PixelShuffle(2)))


def test_the_image_stays_and_no_prelu_is_left() -> None:
    net = compact().double()
    split = split_prelus(net)
    x = torch.rand(2, 3, 9, 7, dtype=torch.float64)
    torch.testing.assert_close(split(x), net(x), rtol=0, atol=1e-12)
    assert not any(isinstance(m, nn.PReLU) for m in split.modules())
    assert sum(isinstance(m, nn.PReLU) for m in net.modules()) == 2


def test_vectors_keep_their_prelu() -> None:
    net = network(nn.Sequential(nn.PReLU(4)), scale=1)
    net.body[0].weight.data.uniform_(-0.5, 1.5)
    x = torch.randn(5, 4)
    assert torch.equal(split_prelus(net).body(x), net.body(x))


@pytest.mark.parametrize("split", [False, True])
def test_the_file_equals_torch(split: bool, tmp_path: Path) -> None:
    import onnx as reader

    request = Request(split_prelu=split)
    net, path = compact(), tmp_path / "compact.onnx"
    exported = onnx.write(net, path, request)
    assert verify(onnx, net, path, exported, request, photograph()).passed
    operators = {node.op_type for node in reader.load(path).graph.node}
    assert ("PRelu" in operators) is not split
