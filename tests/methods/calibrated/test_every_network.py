"""The method, polishing included, on every network of the zoo."""

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from espalier import training
from espalier.costs import count
from espalier.errors import NetworkError
from espalier.methods import calibrated
from espalier.methods.calibrated import material, polishing
from espalier.networks.load import load
from espalier.recipes.inspect import trace
from tests import zoo
from tests.foreign import NETWORKS
from tests.methods.jobs import SMALL, assert_it_fits, job

FAST = ("RealPLKSR", "GRL", "RLFN", "HAT")
"""Writes into its input, computes tables in float32, our default's first users, attention."""
HARD = (":feedback", ":modes", ":modulated", ":correlations")
"""Keeps tensors of a run, complex weights, weights of five axes, channels along the batch of a layer."""
ONE_AT_A_TIME = "SeemoRe"
"""Outside of training it chooses experts by the first image of a batch."""


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Few and small patches."""
    for name, value in SMALL.items():
        monkeypatch.setattr(material, name, value)
    for name, value in (("HELD", 2), ("GATHER", 2)):
        monkeypatch.setattr(polishing, name, value)


def entries() -> list[Any]:
    return [
        pytest.param(entry, id=entry.name, marks=[] if entry.name in FAST else [pytest.mark.slow])
        for entry in zoo.ALL
        if entry.name != ONE_AT_A_TIME
    ]


@pytest.mark.filterwarnings("ignore:'saved_variables' is deprecated:DeprecationWarning")  # OmniSR
@pytest.mark.parametrize("entry", entries())
def test_it_meets_the_budget_and_polishes(entry: zoo.Entry) -> None:
    asked = job("calibrated", entry, "macs=0.7", options={"polish": 2})
    pruned = calibrated.prune(asked)
    assert_it_fits(pruned, asked, entry, 0.7)


class Viewing(nn.Module):
    """Takes views that need images laid out channel by channel."""

    def __init__(self) -> None:
        super().__init__()
        self.head, self.inner = nn.Conv2d(3, 8, 3, padding=1), nn.Conv2d(8, 8, 3, padding=1)
        self.gate, self.tail = nn.Conv2d(2, 2, 3, padding=1), nn.Conv2d(8, 12, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        x = self.inner(self.head(x).relu()).relu()
        count, channels, height, width = x.shape
        gates = self.gate(x.view(count * 4, channels // 4, height, width)).sigmoid()
        return nn.functional.pixel_shuffle(self.tail(x * gates.view(x.shape)), 2)


def unlisted() -> list[Any]:
    references = [network.reference for network in NETWORKS if not network.reference.endswith(":scan")]
    return [
        f"{__name__}:Viewing",
        *(r if r.endswith(HARD) else pytest.param(r, marks=pytest.mark.slow) for r in references),
    ]


@pytest.mark.parametrize("reference", unlisted())
def test_a_network_that_nobody_prepared_is_cut_polished_and_trained(reference: str) -> None:
    torch.manual_seed(0)
    network = load(reference).eval()
    channels = trace(network)
    asked = job(
        "calibrated", zoo.find("edsr"), "macs=0.7", options={"polish": 2},
        network=lambda: network, channels=channels, cost=channels.cost,
    )  # fmt: skip
    pruned = calibrated.prune(asked)
    assert count(pruned, (32, 32)).params < count(network, (32, 32)).params
    settings = training.TrainSettings(steps=2, batch=2, patch=16, optimizer="soap")
    training.fit(pruned, asked.images, settings, progress=False)
    with torch.no_grad():
        assert pruned(asked.images.lr(0)[None].float() / 255).isfinite().all()


def test_a_network_that_takes_no_batches_is_refused() -> None:
    asked = job("calibrated", zoo.find(ONE_AT_A_TIME), "macs=0.7")
    with pytest.raises(
        NetworkError, match=r"for a batch than for each image alone.* take --method magnitude"
    ):
        calibrated.prune(asked)
