import pytest
import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from espalier.costs import count
from espalier.errors import NetworkError
from espalier.networks.load import load
from espalier.networks.network import Adapter
from tests.costs.networks import Deciding, Plain, network


def test_by_hand():
    cost = count(network(Plain()), (10, 20))
    assert cost.params == 3 * 8 * 9 + 8 + 8 * 12 * 9
    assert cost.macs == 200 * (3 * 8 * 9 + 8 * 12 * 9)
    assert cost.activations == 200 * (8 + 12)
    assert cost.convs == 2
    assert cost.input_size == (10, 20)
    assert cost.note == ""
    first, last = cost.layers
    assert (first.name, first.operator, first.calls, first.output) == (
        "first",
        "convolution",
        1,
        (1, 8, 10, 20),
    )
    assert last.macs == 200 * 8 * 12 * 9
    assert sum(layer.params for layer in cost.layers) == cost.params


@pytest.mark.parametrize(("scale", "size"), [(2, (360, 640)), (3, (240, 427)), (4, (180, 320))])
def test_the_default_input_gives_1280_by_720(scale, size):
    assert count(network(Plain(scale), scale)).input_size == size


@pytest.mark.parametrize(("scale", "giga"), [(2, 316.3), (3, 160.2), (4, 114.0)])
def test_edsr_baseline_costs_what_papers_say(scale, giga):
    """As papers list it beside CARN; they differ in how they round the input of x3."""
    assert count(load(f"edsr(scale={scale})")).macs / 1e9 == pytest.approx(giga, rel=0.003)


@pytest.mark.parametrize(
    ("weights", "scale", "giga"),
    [("IMDN/IMDN_x2.pth", 2, 158.8), ("IMDN/IMDN_x4.pth", 4, 40.9), ("CARN-M/carn_m.pth", 4, 32.5)],
)
def test_real_networks_cost_what_papers_say(real_data, weights, scale, giga):
    network = load(real_data / "weights" / weights, scale=scale)
    assert count(network).macs / 1e9 == pytest.approx(giga, abs=0.06)


def test_equals_torch_on_attention_grouped_and_transposed():
    class Mixed(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.depthwise = nn.Conv2d(3, 12, 3, padding=1, groups=3)
            self.attention = nn.MultiheadAttention(12, 3, batch_first=True)
            self.linear = nn.Linear(12, 12)
            self.up = nn.ConvTranspose2d(12, 3, 4, 2, 1)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            x = self.depthwise(x)
            tokens = x.flatten(2).transpose(1, 2)
            tokens = self.linear(self.attention(tokens, tokens, tokens)[0])
            return self.up(tokens.transpose(1, 2).reshape(x.shape))

    body = Mixed().eval()
    cost = count(network(body), (6, 8))
    with FlopCounterMode(display=False) as expected, torch.no_grad():
        body(torch.rand(1, 3, 6, 8))
    assert cost.macs == expected.get_total_flops() // 2
    assert cost.convs == 2
    assert {"depthwise", "linear", "up"} <= {layer.name for layer in cost.layers}


def test_a_module_used_twice_counts_twice_but_is_stored_once():
    class Recursive(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv = nn.Conv2d(3, 3, 3, padding=1)
            self.up = nn.Upsample(scale_factor=2)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.up(self.conv(self.conv(x)))

    cost = count(network(Recursive()), (4, 4))
    assert cost.params == 84
    assert cost.convs == cost.layers[0].calls == 2
    assert cost.macs == 2 * 16 * 81


def test_a_network_that_looks_at_values_is_scaled_up_and_says_so():
    exact, scaled = (count(network(body), (128, 192)) for body in (Plain(), Deciding()))
    assert scaled.note == "counted at 64x64 and scaled by area to 192x128"
    assert scaled.to_dict() == {**exact.to_dict(), "note": scaled.note}
    assert scaled.layers[0].macs == exact.layers[0].macs
    assert count(network(Deciding()), (60, 50)) == count(network(Plain()), (60, 50))


def test_the_bicubic_enlargement_is_no_cost_and_padding_is():
    class Same(nn.Module):
        def __init__(self, channels: int) -> None:
            super().__init__()
            self.conv = nn.Conv2d(channels, channels, 1)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.conv(x)

    enlarged = count(network(Same(1), 2, Adapter(luma=True, enlarged=True)), (5, 6))
    assert enlarged.macs == 10 * 12
    assert enlarged.convs == 1
    padded = count(network(Plain(), adapter=Adapter(multiple_of=8)), (9, 8))
    assert padded.macs == count(network(Plain()), (16, 8)).macs


def test_the_network_is_left_as_it_was():
    net = network(nn.Sequential(Plain(), nn.Dropout()))
    net.train()
    before = {name: tensor.clone() for name, tensor in net.state_dict().items()}
    count(net)
    assert all(module.training for module in net.modules())
    assert all(not module._forward_hooks and not module._forward_pre_hooks for module in net.modules())
    assert all(torch.equal(tensor, before[name]) for name, tensor in net.state_dict().items())


def test_json():
    cost = count(network(Plain()), (2, 3))
    assert cost.to_dict() == {
        "params": 1088,
        "macs": 6480,
        "activations": 120,
        "convs": 2,
        "input_size": [2, 3],
    }


def test_senseless_size():
    with pytest.raises(NetworkError, match="0x4 pixels"):
        count(network(Plain()), (4, 0))
