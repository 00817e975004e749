"""Folding: equal outputs, fewer layers, and the same after a rebuild."""

from pathlib import Path

import pytest
import torch
from torch import Tensor, nn
from torch.nn.utils import parametrizations

from espalier.errors import NetworkError
from espalier.networks.file import save
from espalier.networks.load import load
from espalier.networks.network import Adapter, Base, Network
from espalier.networks.prepare import prepare
from espalier.plan import PrunePlan

SPAN = "spandrel.SPAN(num_in_ch=3, num_out_ch=3, feature_channels=8, upscale=2)"


def settled(reference: str) -> Network:
    """A network whose BatchNorms have seen something."""
    torch.manual_seed(0)
    network = load(reference).train()
    network(torch.rand(4, 3, 12, 12))
    return network.eval()


def outputs(*networks: Network) -> list[Tensor]:
    image = torch.rand(1, 3, 16, 17)
    with torch.no_grad():
        return [network(image) for network in networks]


def test_branches_of_span() -> None:
    network = settled(SPAN)
    folded = prepare(network)
    before, after = outputs(network, folded)
    torch.testing.assert_close(after, before, atol=1e-5 * float(before.abs().max()), rtol=1e-5)
    assert folded.base.prepared
    assert not network.base.prepared
    assert not any("sk." in name or "eval_conv" in name for name in folded.body.state_dict())
    assert all(parameter.requires_grad for parameter in folded.body.parameters())


def test_nothing_to_fold_is_said() -> None:
    network = load("edsr(blocks=1, channels=4)")
    folded = prepare(network, batchnorm=True)
    assert folded.base == network.base
    assert folded.body is not network.body


def test_batchnorm() -> None:
    network = settled("srresnet(scale=2, blocks=2, channels=8)")
    folded = prepare(network, batchnorm=True)
    before, after = outputs(network, folded)
    torch.testing.assert_close(after, before, atol=1e-5, rtol=1e-5)
    assert not any(isinstance(module, nn.BatchNorm2d) for module in folded.body.modules())
    assert folded.base.batchnorm_folded
    assert any(isinstance(module, nn.BatchNorm2d) for module in prepare(network).body.modules())


class Awkward(nn.Module):
    """One BatchNorm that may be folded, and three that may not."""

    def __init__(self) -> None:
        super().__init__()
        self.head, self.shared = nn.Conv2d(3, 4, 3, padding=1), nn.Conv2d(4, 4, 3, padding=1)
        self.tapped, self.tail = nn.Conv2d(4, 4, 3, padding=1), nn.Conv2d(4, 3, 3, padding=1)
        self.good, self.after_two, self.heard, self.alone = (nn.BatchNorm2d(4) for _ in range(4))

    def forward(self, x: Tensor) -> Tensor:
        x = self.good(self.head(x))
        x = self.after_two(self.shared(self.shared(x)))
        tapped = self.tapped(x)
        x = self.heard(tapped) + tapped
        return self.tail(self.alone(x))


def test_only_what_may_be_folded_is() -> None:
    torch.manual_seed(0)
    network = Network(Awkward(), name="awkward", scale=1, base=Base("factory", "x:y")).train()
    network(torch.rand(4, 3, 12, 12))
    network.eval()
    folded = prepare(network, batchnorm=True)
    left = {name for name, module in folded.body.named_modules() if isinstance(module, nn.BatchNorm2d)}
    assert left == {"after_two", "heard", "alone"}
    before, after = outputs(network, folded)
    torch.testing.assert_close(after, before, atol=1e-5, rtol=1e-5)


@pytest.mark.filterwarnings("ignore:.*weight_norm.*:FutureWarning")
@pytest.mark.parametrize("norm", [nn.utils.weight_norm, parametrizations.weight_norm])
def test_weight_norm_of_both_kinds(norm) -> None:
    body = nn.Sequential(norm(nn.Conv2d(3, 5, 3, padding=1)), nn.ReLU(), norm(nn.Conv2d(5, 3, 1)))
    network = Network(body, name="wn", scale=1, base=Base("factory", "x:y"), adapter=Adapter())
    network(torch.rand(1, 3, 8, 8))  # leaves computed weights behind, which torch cannot copy
    folded = prepare(network)
    before, after = outputs(network, folded)
    torch.testing.assert_close(after, before)
    assert sorted(folded.body.state_dict()) == ["0.bias", "0.weight", "2.bias", "2.weight"]
    assert len(list(network.body.parameters())) == 6


def test_global_randomness_is_left_alone() -> None:
    network = load(SPAN)
    torch.manual_seed(3)
    expected = torch.rand(1)
    torch.manual_seed(3)
    prepare(network, batchnorm=True)
    assert torch.equal(torch.rand(1), expected)


def test_pruned_networks_come_too_late() -> None:
    network = load("edsr(blocks=1, channels=4)")
    network.plans = (PrunePlan(()),)
    with pytest.raises(NetworkError, match="prepare it before pruning"):
        prepare(network)


@pytest.mark.parametrize("reference", [SPAN, "srresnet(scale=2, blocks=2, channels=8)"])
def test_a_prepared_network_is_rebuilt(reference: str, tmp_path: Path) -> None:
    folded = prepare(settled(reference), batchnorm=True)
    save(folded, tmp_path / "net.safetensors")
    before, after = outputs(folded, load(tmp_path / "net.safetensors"))
    assert torch.equal(before, after)
