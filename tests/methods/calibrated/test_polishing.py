"""Polishing: nearer to the dense network's image, or nothing changed."""

import copy

import pytest
import torch
from torch import nn

from espalier.methods.calibrated import material, polishing
from espalier.methods.job import Job
from espalier.networks.network import Base, Network
from tests.methods import jobs
from tests.methods.calibrated.test_calibrated import job

NAMES = ("edsr", "rnet", "imdn", "rfdn", "pan", "srresnet", "fsrcnn", "vdsr", "SwinIR")


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Fewer and smaller patches than in earnest."""
    monkeypatch.setattr(material, "SIZE", 16)
    monkeypatch.setattr(polishing, "HELD", 4)


def disturbed(network: Network, share: float = 0.05) -> Network:
    """A copy whose weights are off by this share of their size."""
    other, generator = copy.deepcopy(network), torch.Generator().manual_seed(0)
    with torch.no_grad():
        for p in other.parameters():
            p += share * p.square().mean().sqrt() * torch.randn(p.shape, generator=generator)
    return other


def off(wanted: Job, network: Network) -> float:
    """Difference on the images that judge."""
    x = material.drawn(polishing.parted(wanted.images)[1], wanted.seed, 0, polishing.HELD)
    return material.difference(network, wanted.network, x)


@pytest.mark.parametrize("name", NAMES)
def test_what_is_lost_in_all_layers_is_won_back(name: str) -> None:
    wanted = job(name)
    worse = disturbed(wanted.network)
    before = {k: v.clone() for k, v in worse.state_dict().items()}
    better = polishing.polished(wanted, worse, 30)
    assert off(wanted, better) < 0.7 * off(wanted, worse)
    assert all(torch.equal(v, before[k]) for k, v in worse.state_dict().items())
    assert not any(p.grad is not None for p in better.parameters())


class Linear(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Conv2d(3, 3, 3, padding=1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.layer(x)


def test_one_layer_finds_the_least_squares_solution() -> None:
    """The dense network itself, whose difference is zero."""
    torch.manual_seed(0)
    dense = Network(Linear().eval(), name="linear", scale=1, base=Base("factory", "tests:none"))
    wanted = job("edsr", network=dense, images=jobs.images(1, 6, 40, knots=9))
    worse = disturbed(dense, 0.03)
    assert off(wanted, polishing.polished(wanted, worse, 300)) < 1e-3 * off(wanted, worse)


@pytest.mark.parametrize("rate", [10.0, float("nan")])
def test_it_never_makes_things_worse(rate: float, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(polishing, "RATE", rate)
    wanted = job("edsr")
    worse = disturbed(wanted.network)
    after = polishing.polished(wanted, worse, 20)
    assert off(wanted, after) <= off(wanted, worse)


def test_the_dense_network_stays_as_it_is() -> None:
    wanted = job("edsr")
    same = polishing.polished(wanted, wanted.network, 10)
    assert same is wanted.network


def test_no_steps_change_nothing() -> None:
    wanted = job("edsr")
    worse = disturbed(wanted.network)
    assert polishing.polished(wanted, worse, 0) is worse


def test_zeros_of_a_sparse_network_stay() -> None:
    wanted = job("edsr")
    worse = disturbed(wanted.network)
    name = "body.0.body.0.weight"
    mask = torch.rand(worse.body.get_parameter(name).shape) < 0.5
    worse.masks = {name: mask}
    worse.body.get_parameter(name).data.mul_(mask)
    better = polishing.polished(wanted, worse, 10)
    assert better is not worse
    assert not better.body.get_parameter(name)[~mask].any()


def test_frozen_parameters_stay() -> None:
    wanted = job("edsr")
    worse = disturbed(wanted.network)
    first = next(worse.parameters()).requires_grad_(False)
    better = polishing.polished(wanted, worse, 10)
    assert better is not worse
    assert torch.equal(next(better.parameters()), first)


def test_images_that_judge_are_not_polished_on() -> None:
    images = jobs.images(2, 20, 40, knots=9)
    train, held = polishing.parted(images)
    assert len(held) == 2
    assert set(train.names).isdisjoint(held.names)
    assert set(train.names) | set(held.names) == set(images.names)
    few = images.take([0, 1])
    assert polishing.parted(few) == (few, few)


def test_some_patches_have_more_contrast_than_the_images() -> None:
    images = jobs.images(1, 4, 40, knots=9)
    numbers = range(1, 2 * polishing.STRONG + 1)
    spread = {n: polishing.seen(images, 0, n).std() / material.drawn(images, 0, n, 1).std() for n in numbers}
    assert [n for n, share in spread.items() if share != 1] == [polishing.STRONG, 2 * polishing.STRONG]
    assert all(1 <= share <= polishing.CONTRAST for share in spread.values())
    assert torch.equal(polishing.seen(images, 0, 8), polishing.seen(images, 0, 8))


def test_it_tells_how_far_it_is() -> None:
    told: list[str] = []
    wanted = job("edsr", tell=told.append)
    polishing.polished(wanted, disturbed(wanted.network), 16)
    assert len(told) == polishing.CHECKS
    assert told[-1].startswith("polishing, step 16 of 16")


def test_the_rate_rises_and_falls() -> None:
    rates = [polishing.rate(step, 100) for step in range(100)]
    assert rates[0] < rates[5] < max(rates) <= polishing.RATE
    assert rates[-1] < 0.01 * polishing.RATE
