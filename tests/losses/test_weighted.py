"""Losses by name and weight."""

import math

import pytest
import torch

from espalier.losses import names, option_types, parse, terms
from espalier.losses.weighted import LossError

EXPECTED = {"l1": 0.5, "mse": 0.25, "charbonnier": math.sqrt(0.25 + 1e-6)}


@pytest.mark.parametrize("name", EXPECTED)
def test_values_for_a_constant_difference(name: str) -> None:
    (term,) = terms({name: 2.0})
    a = torch.rand(2, 3, 8, 8)
    assert term.weight == 2
    assert term.loss(a, a + 0.5).item() == pytest.approx(EXPECTED[name], rel=1e-5)


def test_every_loss_is_listed_and_has_a_gradient() -> None:
    assert set(EXPECTED) < set(names())
    for name in ("l1", "mse", "charbonnier", "frequency"):
        output = torch.rand(1, 3, 16, 16, requires_grad=True)
        terms({name: 1})[0].loss(output, torch.rand(1, 3, 16, 16)).backward()
        assert output.grad is not None
        assert output.grad.abs().max() > 0


def test_frequency_of_a_wave_is_in_one_place() -> None:
    wave = torch.cos(2 * math.pi * torch.arange(16) / 16 * 3).expand(1, 3, 16, 16)
    (term,) = terms({"frequency": 1})
    # One rfft2 bin of 16 x 9 holds 16 / 2, split over real and imaginary parts.
    assert term.loss(wave, torch.zeros_like(wave)).item() == pytest.approx(8 / (16 * 9 * 2), rel=1e-4)


def test_teacher_terms() -> None:
    listed = terms({"l1": 1, "teacher": 0.5, "teacher-mse": 0.1, "mse": 0})
    assert [(t.name, t.weight, t.teacher) for t in listed] == [
        ("l1", 1, False),
        ("teacher", 0.5, True),
        ("teacher-mse", 0.1, True),
    ]


@pytest.mark.parametrize(
    ("weights", "message"),
    [
        ({"charbonier": 1}, "did you mean 'charbonnier'"),
        ({"l1": -1}, "expected a number from 0 up"),
        ({"l1": math.nan}, "expected a number from 0 up"),
        ({"l1": 0}, "no loss has a weight above 0"),
        ({"teacher-nothing": 1}, "no loss is called 'nothing'"),
    ],
)
def test_mistakes_are_explained(weights: dict[str, float], message: str) -> None:
    with pytest.raises(LossError, match=message):
        terms(weights)


def test_options_reach_the_loss() -> None:
    (term,) = terms({"charbonnier": 1}, {"charbonnier": {"eps": 1.0}})
    assert term.loss(torch.zeros(1), torch.zeros(1)).item() == 1


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"charbonnier": {"epsi": 1}}, "'charbonnier' has no option 'epsi'; did you mean 'eps'"),
        ({"l1": {"eps": 1}}, "'l1' has no option 'eps'; there are none"),
        ({"mse": {}}, r"options for 'mse', which is not among the losses \['charbonnier', 'teacher'\]"),
    ],
)
def test_options_that_do_not_fit(options: dict[str, dict[str, float]], message: str) -> None:
    with pytest.raises(LossError, match=message):
        terms({"charbonnier": 1, "teacher": 1}, options)


def test_what_options_must_be() -> None:
    assert option_types("charbonnier") == {"eps": float}
    assert {"weights", "layers"} <= set(option_types("perceptual"))


def test_parse() -> None:
    assert parse("l1=1, teacher=0.5,mse") == {"l1": 1, "teacher": 0.5, "mse": 1}
    with pytest.raises(LossError, match="no loss with a weight"):
        parse("l1=much")
