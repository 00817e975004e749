"""Every method that learns, on networks of every kind, with a few steps."""

from typing import Any

import pytest
import torch

from espalier.methods import job as jobs
from espalier.methods.calibrated import material
from tests import zoo
from tests.methods.jobs import LEARNED as METHODS
from tests.methods.jobs import SMALL, assert_it_fits, job

FAST = ("edsr", "srresnet", "bsrn", "SwinIR")
"""Residual trunk and pixel shuffle; BatchNorm and PReLU; depthwise; attention, LayerNorm and MLP."""
UNTRAINABLE = ("SeemoRe", "IPT")
"""The code of one fails in training mode with few experts; the other takes images of one size alone."""


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Few and small patches for calibration."""
    for name, value in SMALL.items():
        monkeypatch.setattr(material, name, value)


def entries() -> list[Any]:
    return [
        pytest.param(entry, id=entry.name, marks=[] if entry.name in FAST else [pytest.mark.slow])
        for entry in zoo.ALL
        if entry.name not in UNTRAINABLE
    ]


@pytest.mark.filterwarnings("ignore:'saved_variables' is deprecated:DeprecationWarning")  # OmniSR
@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("entry", entries())
def test_it_meets_the_budget_and_gives_one_plan(method: str, entry: zoo.Entry) -> None:
    asked = job(method, entry, "macs=0.7", options=METHODS[method])
    pruned = jobs.method(method)(asked)
    assert_it_fits(pruned, asked, entry, 0.7)


@pytest.mark.parametrize("method", METHODS)
def test_the_dense_network_is_left_alone(method: str) -> None:
    asked = job(method, zoo.find("edsr"), options=METHODS[method])
    before = {k: v.clone() for k, v in asked.network.state_dict().items()}
    jobs.method(method)(asked)
    assert all(torch.equal(v, before[k]) for k, v in asked.network.state_dict().items())


@pytest.mark.parametrize("method", METHODS)
def test_protected_layers_stay(method: str) -> None:
    asked = job(method, zoo.find("edsr"), "macs=0.8", options=METHODS[method], protect=("tail.*",))
    pruned = jobs.method(method)(asked)
    assert {c.group for c in pruned.plans[0].choices if len(c.kept) < c.channels} <= {
        "body.0.body.0.weight", "body.1.body.0.weight",
    }  # fmt: skip
