"""The method, polishing included, on every network of the zoo."""

from typing import Any

import pytest
import torch

from espalier.costs import count
from espalier.errors import NetworkError
from espalier.methods import calibrated
from espalier.methods.calibrated import material, polishing
from tests import zoo
from tests.methods.jobs import job

FAST = ("RealPLKSR", "GRL", "RLFN", "HAT")
"""Writes into its input, computes tables in float32, our default's first users, attention."""
ONE_AT_A_TIME = "SeemoRe"
"""Outside of training it chooses experts by the first image of a batch."""


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Few and small patches."""
    for name, value in (("PATCHES", 8), ("DRAFTED", 8), ("HELD", 4), ("SIZE", 16)):
        monkeypatch.setattr(material, name, value)
    for name, value in (("BATCH", 2), ("HELD", 2), ("GATHER", 2)):
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
    assert len(pruned.plans) == 1
    assert asked.channels.check({c.group: c.kept for c in pruned.plans[0].choices}).equal
    assert count(pruned, entry.size).macs <= 0.7 * count(asked.network, entry.size).macs
    x = zoo.image(entry)
    with torch.no_grad():
        image = pruned(x)
    assert image.shape == asked.network(x).shape
    assert bool(image.isfinite().all())


def test_a_network_that_takes_no_batches_is_refused() -> None:
    asked = job("calibrated", zoo.find(ONE_AT_A_TIME), "macs=0.7")
    with pytest.raises(
        NetworkError, match=r"for a batch than for each image alone.* take --method magnitude"
    ):
        calibrated.prune(asked)
