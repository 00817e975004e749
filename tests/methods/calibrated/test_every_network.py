"""The method, polishing included, on every network of the zoo."""

from typing import Any

import pytest

from espalier.errors import NetworkError
from espalier.methods import calibrated
from espalier.methods.calibrated import material, polishing
from tests import zoo
from tests.methods.jobs import SMALL, assert_it_fits, job

FAST = ("RealPLKSR", "GRL", "RLFN", "HAT")
"""Writes into its input, computes tables in float32, our default's first users, attention."""
ONE_AT_A_TIME = "SeemoRe"
"""Outside of training it chooses experts by the first image of a batch."""


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Few and small patches."""
    for name, value in SMALL.items():
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
    assert_it_fits(pruned, asked, entry, 0.7)


def test_a_network_that_takes_no_batches_is_refused() -> None:
    asked = job("calibrated", zoo.find(ONE_AT_A_TIME), "macs=0.7")
    with pytest.raises(
        NetworkError, match=r"for a batch than for each image alone.* take --method magnitude"
    ):
        calibrated.prune(asked)
