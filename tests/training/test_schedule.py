"""Learning rates."""

import dataclasses

import pytest

from espalier.training.schedule import Plateau, rate
from espalier.training.settings import TrainSettings

SETTINGS = TrainSettings(steps=100, lr=1.0, warmup=9, lr_end=0.1, drop_every=40, drop=0.5)


def test_warm_up_is_linear() -> None:
    assert [rate(SETTINGS, step) for step in range(9)] == pytest.approx(
        [0.1 * (step + 1) for step in range(9)]
    )


def test_cosine_from_one_to_its_end() -> None:
    values = [rate(SETTINGS, step) for step in range(9, 101)]
    assert values[0] == pytest.approx(1.0)
    assert values[-1] == pytest.approx(0.1)
    assert values == sorted(values, reverse=True)


def test_steps() -> None:
    settings = dataclasses.replace(SETTINGS, schedule="step")
    assert [rate(settings, step) for step in (39, 40, 80)] == [1.0, 0.5, 0.25]


def test_the_rate_grows_with_the_workers() -> None:
    assert rate(SETTINGS, 50, workers=4) == 4 * rate(SETTINGS, 50)
    assert rate(dataclasses.replace(SETTINGS, scale_lr=False), 50, workers=4) == rate(SETTINGS, 50)


def test_plateau_drops_after_patience_and_remembers() -> None:
    settings = dataclasses.replace(SETTINGS, schedule="plateau", patience=1)
    plateau = Plateau(settings)
    for value in (30.0, 29.0):
        plateau.see(value)
    other = Plateau(settings)
    other.load_state_dict(plateau.state_dict())
    assert other.factor == 1
    other.see(30.0)
    assert other.factor == 0.5
    assert Plateau(SETTINGS)._drop == 1.0
