"""The three games, against values worked out by hand."""

import math

import pytest
import torch

from espalier.distillation.adversarial import KINDS, Judged, certainty

LOG2 = math.log(2)
EVEN = Judged(torch.zeros(4, 1), torch.zeros(4, 1))


def softplus(x: float) -> float:
    return math.log1p(math.exp(x))


@pytest.mark.parametrize(
    ("kind", "discriminator", "generator"),
    [("vanilla", 2 * LOG2, LOG2), ("hinge", 2.0, 0.0), ("relativistic", 2 * LOG2, 2 * LOG2)],
)
def test_when_nothing_can_be_told_apart(kind: str, discriminator: float, generator: float) -> None:
    assert KINDS[kind].discriminator(EVEN).item() == pytest.approx(discriminator)
    assert KINDS[kind].generator(EVEN).item() == pytest.approx(generator)


def test_values() -> None:
    judged = Judged(torch.tensor([3.0, 1.0]), torch.tensor([-0.5, -1.5]))
    vanilla, hinge, relativistic = KINDS["vanilla"], KINDS["hinge"], KINDS["relativistic"]
    expected = (softplus(-3) + softplus(-1) + softplus(-0.5) + softplus(-1.5)) / 2
    assert vanilla.discriminator(judged).item() == pytest.approx(expected)
    assert vanilla.generator(judged).item() == pytest.approx((softplus(0.5) + softplus(1.5)) / 2)
    assert hinge.discriminator(judged).item() == pytest.approx(0.25)
    assert hinge.generator(judged).item() == pytest.approx(1.0)
    # The means are 2 and -1, so the differences are 4, 2 for real images and -2.5, -3.5 for made ones.
    expected = (softplus(-4) + softplus(-2) + softplus(-2.5) + softplus(-3.5)) / 2
    assert relativistic.discriminator(judged).item() == pytest.approx(expected)
    expected = (softplus(4) + softplus(2) + softplus(2.5) + softplus(3.5)) / 2
    assert relativistic.generator(judged).item() == pytest.approx(expected)


@pytest.mark.parametrize("name", KINDS)
def test_gradients_pull_apart_and_together(name: str) -> None:
    logits = torch.zeros(2, 3, 1, requires_grad=True)
    (slope,) = torch.autograd.grad(KINDS[name].discriminator(Judged(*logits)), logits)
    assert (slope[0] < 0).all()
    assert (slope[1] > 0).all()
    (slope,) = torch.autograd.grad(KINDS[name].generator(Judged(*logits)), logits)
    assert (slope[1] < 0).all()


@pytest.mark.parametrize("name", KINDS)
def test_certainty(name: str) -> None:
    real, made = certainty(KINDS[name], Judged(torch.full((2, 1), 5.0), torch.full((2, 1), -5.0)))
    assert real > 0.99
    assert made < 0.01
