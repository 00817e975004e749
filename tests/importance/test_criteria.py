"""Every criterion against its formula, written out, on known weights."""

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from espalier.channels import Channels, analyse, sample_inputs
from espalier.errors import PlanError
from espalier.importance import criteria, criterion, scores
from espalier.importance.slices import slices
from tests import zoo

WEIGHT_ONLY = ("bn_scale", "group_l2", "l1", "l2", "random")


class Small(nn.Module):
    def __init__(self, norm: bool = False) -> None:
        super().__init__()
        torch.manual_seed(1)
        self.head = nn.Conv2d(3, 8, 3, padding=1)
        self.norm = nn.BatchNorm2d(8) if norm else nn.Identity()
        self.tail = nn.Conv2d(8, 12, 3, padding=1)
        self.shuffle = nn.PixelShuffle(2)
        if norm:
            nn.init.normal_(self.norm.weight)  # type: ignore[arg-type]

    def forward(self, x: Tensor) -> Tensor:
        return self.shuffle(self.tail(self.norm(self.head(x))))


def analysed(network: nn.Module) -> Channels:
    return analyse(network, sample_inputs(3, 6, 6))


def score(name: str, network: nn.Module) -> np.ndarray:
    return scores(name, network, analysed(network).prunable)["head.weight"]


def rows(weight: Tensor) -> np.ndarray:
    return weight.detach().double().flatten(1).numpy()


def test_l1_and_l2_are_norms_of_the_filters() -> None:
    network = Small()
    filters = rows(network.head.weight)
    np.testing.assert_allclose(score("l1", network), np.abs(filters).sum(1))
    np.testing.assert_allclose(score("l2", network), np.linalg.norm(filters, axis=1))


def test_group_l2_weighs_all_layers_of_the_group_alike() -> None:
    network = Small()
    makers = np.square(rows(network.head.weight)).sum(1)
    takers = np.square(rows(network.tail.weight.transpose(0, 1))).sum(1)
    expected = np.sqrt(makers / makers.mean() + takers / takers.mean())
    np.testing.assert_allclose(score("group_l2", network), expected)
    with torch.no_grad():
        network.tail.weight *= 100
    np.testing.assert_allclose(score("group_l2", network), expected)


def test_bn_scale_is_the_size_of_the_scale_and_falls_back_to_l2() -> None:
    network = Small(norm=True)
    np.testing.assert_allclose(
        score("bn_scale", network), network.norm.weight.detach().abs().double().numpy()
    )
    plain = Small()
    np.testing.assert_allclose(score("bn_scale", plain), score("l2", plain))


def test_the_slopes_of_a_prelu_are_no_scales() -> None:
    network = Small(norm=True)
    expected = score("bn_scale", network)
    network.norm = nn.Sequential(network.norm, nn.PReLU(8, init=100.0))  # type: ignore[assignment]
    np.testing.assert_allclose(score("bn_scale", network), expected)
    network.norm = nn.PReLU(8, init=100.0)  # type: ignore[assignment]
    np.testing.assert_allclose(score("bn_scale", network), score("l2", network))


def test_random_scores_follow_the_seed() -> None:
    network = Small()
    groups = analysed(network).prunable
    first, again, other = (scores("random", network, groups, seed=s)["head.weight"] for s in (3, 3, 4))
    assert first.tolist() == again.tolist() != other.tolist()


def test_the_slices_of_a_channel_are_all_it_owns() -> None:
    channels = zoo.channels(zoo.find("edsr"))
    group = channels.group("tail.0.0.weight")
    member = group.member("tail.0.0.weight", 0)
    assert member is not None
    weight = dict(channels.network.named_parameters())["tail.0.0.weight"].detach()
    values = slices(weight, member)
    assert values.shape == (12, 4 * 12 * 9)
    np.testing.assert_allclose(values[2], weight[8:12].double().reshape(-1).numpy())


@pytest.mark.parametrize("name", WEIGHT_ONLY)
@pytest.mark.parametrize(
    "network", ["edsr", "imdn", "carn", "srresnet", "pan", "fsrcnn", "SAFMN", "RealPLKSR"]
)
def test_every_criterion_scores_every_channel(name: str, network: str) -> None:
    channels = zoo.channels(zoo.find(network))
    found = scores(name, channels.network, channels.prunable)
    assert {n: s.shape for n, s in found.items()} == {g.name: (g.channels,) for g in channels.prunable}
    assert all(np.isfinite(s).all() and (s >= 0).all() for s in found.values())


@pytest.mark.parametrize("name", ["bn_scale", "group_l2", "l1", "l2"])
def test_a_channel_of_zeros_goes_first(name: str) -> None:
    network = Small(norm=True)
    with torch.no_grad():
        network.head.weight[5] = 0
        network.norm.weight[5] = 0  # type: ignore[index]
        network.tail.weight[:, 5] = 0
    assert int(score(name, network).argmin()) == 5


def test_weights_of_zeros_everywhere_are_scored_too() -> None:
    network = Small()
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.zero_()
    for name in WEIGHT_ONLY:
        assert np.isfinite(score(name, network)).all()


def test_the_network_stays_as_it_was() -> None:
    network = Small(norm=True)
    before = {name: value.clone() for name, value in network.state_dict().items()}
    for name in WEIGHT_ONLY:
        score(name, network)
    assert all(torch.equal(value, network.state_dict()[name]) for name, value in before.items())


def test_criteria_are_found_by_file_and_an_unknown_one_is_refused() -> None:
    assert set(WEIGHT_ONLY) <= set(criteria())
    assert "slices" not in criteria()
    with pytest.raises(PlanError, match=r"there is no criterion 'l3'; choose one of .*l2"):
        criterion("l3")
