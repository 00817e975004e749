"""Two networks train each other, evenly, resumable bit for bit."""

import dataclasses
import math
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from espalier.data import PackedImages
from espalier.distillation.adversary import Adversary, AdversarySettings
from espalier.distillation.balance import GanCollapseWarning
from espalier.errors import NetworkError
from espalier.networks.load import load
from espalier.networks.network import Network
from espalier.training import TrainingError, TrainSettings, fit
from espalier.training.checkpoint import list_checkpoints

SETTINGS = TrainSettings(steps=10, batch=4, patch=8, lr=1e-3, ema=0.9, save_every=4, log_every=1)
SMALL = {"channels": 4}
GAMES = {
    "vanilla, BatchNorm": AdversarySettings(weight=0.1, options=SMALL, warmup=3),
    "relativistic, R1": AdversarySettings(
        weight=0.1, kind="relativistic", options={**SMALL, "norm": "none"}, r1=1.0, r1_every=2
    ),
    "hinge, U-Net": AdversarySettings(weight=0.1, kind="hinge", discriminator="unet", options=SMALL),
}


def adversary(settings: AdversarySettings, lr: float = 1e-3) -> Adversary:
    return Adversary(settings, lambda _step: lr)


@pytest.mark.parametrize("name", GAMES)
def test_resumed_bit_for_bit(
    name: str, generator: Callable[..., Network], images: PackedImages, tmp_path: Path
) -> None:
    whole, resumed, first, second = generator(), generator(), adversary(GAMES[name]), adversary(GAMES[name])
    fit(whole, images, SETTINGS, method=first, run=tmp_path, progress=False)
    list_checkpoints(tmp_path / "checkpoints")[-1].unlink()
    again = fit(resumed, images, SETTINGS, method=second, run=tmp_path, resume=True, progress=False)
    assert again.points[-1].step == 10
    for a, b in ((whole, resumed), (first.judge, second.judge)):
        assert all(torch.equal(x, y) for x, y in zip(a.state_dict().values(), b.state_dict().values()))
    assert first.facts() == second.facts()
    assert first.state_dict()["optimizer"]["state"].keys() == second.state_dict()["optimizer"]["state"].keys()


def test_warm_up_is_training_without_an_adversary(
    generator: Callable[..., Network], images: PackedImages
) -> None:
    alone, warm = generator(), generator()
    settings = AdversarySettings(weight=1.0, options=SMALL, warmup=10)
    fit(alone, images, SETTINGS, progress=False)
    history = fit(warm, images, SETTINGS, method=adversary(settings), progress=False)
    assert [p.losses["gan"] for p in history.points] == [0.0] * 10
    assert all(torch.equal(a, b) for a, b in zip(alone.parameters(), warm.parameters()))


def test_the_term_has_its_weight(generator: Callable[..., Network], images: PackedImages) -> None:
    one = dataclasses.replace(SETTINGS, steps=1)
    paid = []
    for weight in (0.1, 0.2):
        settings = AdversarySettings(weight=weight, options=SMALL)
        paid.append(fit(generator(), images, one, method=adversary(settings), progress=False).points[-1])
    assert paid[1].losses["gan"] == pytest.approx(2 * paid[0].losses["gan"])
    assert paid[0].losses["l1"] == paid[1].losses["l1"]


def test_the_parts_of_a_step_are_judged_together(images: PackedImages) -> None:
    """Without BatchNorm, two parts of 2 are one batch of 4."""
    settings, judges = AdversarySettings(weight=0.1, options={**SMALL, "norm": "none"}), []
    for batch, parts in ((4, 1), (2, 2)):
        each = dataclasses.replace(SETTINGS, steps=1, batch=batch, accumulate=parts, ema=0.0)
        method = adversary(settings)
        torch.manual_seed(1)
        fit(load("edsr(scale=2, blocks=1, channels=8)"), images, each, method=method, progress=False)
        judges.append(method.judge)
    for a, b in zip(*(judge.parameters() for judge in judges)):
        assert torch.allclose(a, b, atol=2e-4)


@pytest.mark.parametrize("name", GAMES)
def test_both_stay_in_the_game(name: str, generator: Callable[..., Network], images: PackedImages) -> None:
    """Losses are finite; the discriminator is neither sure nor blind all the time, and it does learn."""
    settings = dataclasses.replace(SETTINGS, steps=60, log_every=1)
    method = adversary(dataclasses.replace(GAMES[name], weight=0.01, warmup=0))
    history = fit(generator(), images, settings, method=method, progress=False)
    answers = [(p.facts["D(real)"], p.facts["D(made)"]) for p in history.points]
    assert all(math.isfinite(value) for p in history.points for value in p.losses.values())
    assert sum(0.02 < real < 0.98 and 0.02 < made < 0.98 for real, made in answers) > 30
    assert max(abs(real - made) for real, made in answers) > 0.01


def test_a_discriminator_without_learning_rate_is_called_blind(
    generator: Callable[..., Network], images: PackedImages
) -> None:
    settings = AdversarySettings(weight=0.0, options={**SMALL, "norm": "spectral"}, patience=20)
    method = adversary(settings, lr=0.0)
    with pytest.warns(GanCollapseWarning, match="cannot tell made images from real ones"):
        fit(generator(), images, dataclasses.replace(SETTINGS, steps=60), method=method, progress=False)


def test_mistakes_are_explained(generator: Callable[..., Network], images: PackedImages) -> None:
    with pytest.raises(TrainingError, match="no adversarial loss is called 'wasserstein'"):
        AdversarySettings(kind="wasserstein")
    settings = AdversarySettings(discriminator="vgg")
    with pytest.raises(NetworkError, match="no discriminator is called 'vgg'"):
        fit(generator(), images, SETTINGS, method=adversary(settings), progress=False)
