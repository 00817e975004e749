"""Weights go in rounds until the share of all parameters is gone, and stay zero."""

import dataclasses
from collections.abc import Callable

import pytest
import torch

from espalier.data import PackedImages
from espalier.distillation.thinning import at_once, keep, thinning
from espalier.errors import PlanError
from espalier.networks.network import Network
from espalier.sparsity import size
from espalier.training import TrainSettings, fit

SETTINGS = TrainSettings(steps=20, batch=2, patch=8, lr=1e-3, log_every=1)


@pytest.mark.parametrize("spread", ["global", "layer"])
@pytest.mark.parametrize("ema", [0.0, 0.9])
def test_the_share_is_met_exactly(
    spread: str, ema: float, generator: Callable[..., Network], images: PackedImages
) -> None:
    network = generator()
    method = thinning(network, 0.3, spread, steps=20, rounds=4)
    history = fit(network, images, dataclasses.replace(SETTINGS, ema=ema), method=method, progress=False)
    keep(network, method)
    found = size(network)
    assert found.nonzero == pytest.approx(0.7 * found.params, abs=1)
    for name, mask in network.masks.items():
        weight = network.body.get_parameter(name)
        assert torch.equal(weight != 0, mask)
    levels = sorted({round(point.facts["sparsity"], 4) for point in history.points})
    assert len(levels) == 5  # none, then four rounds
    assert [p.facts["sparsity"] for p in history.points[-8:]] == [history.points[-1].facts["sparsity"]] * 8
    shares = [1 - mask.float().mean().item() for mask in network.masks.values() if mask.numel() > 500]
    assert (max(shares) - min(shares) < 0.01) == (spread == "layer")


def test_at_once(generator: Callable[..., Network]) -> None:
    network = generator()
    at_once(network, 0.3, "global")
    assert size(network).nonzero == pytest.approx(0.7 * size(network).params, abs=1)
    kept = [network.body.get_parameter(n).detach()[m].abs() for n, m in network.masks.items()]
    gone = [network.body.get_parameter(n)[~m] for n, m in network.masks.items()]
    assert torch.cat(kept).min() > 0
    assert not torch.cat(gone).any()


def test_mistakes_are_explained(generator: Callable[..., Network]) -> None:
    with pytest.raises(PlanError, match=r"a share from 0 to 0\.\d+ \(biases and norms stay\)"):
        thinning(generator(), 0.999, "global", steps=20, rounds=4)
    with pytest.raises(PlanError, match="5 steps are too few for 4 rounds"):
        thinning(generator(), 0.5, "global", steps=5, rounds=4)
    with pytest.raises(PlanError, match="one of global"):
        thinning(generator(), 0.5, "locally", steps=20, rounds=4)
