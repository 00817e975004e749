"""A collapse is seen, told once with its step, and remembered."""

import warnings

import pytest
import torch

from espalier.distillation.balance import Balance, GanCollapseWarning, Seen, trouble

FINE = (0.7, 0.3, 1.0)
WRONG = {
    "knows every image": (1.0, 0.0, 1.0),
    "cannot tell": (0.5, 0.5, 1.0),
    "contrast": (0.7, 0.3, 0.0),
    "no longer numbers": (float("nan"), 0.5, 1.0),
}


def run(balance: Balance, values: tuple[float, ...], first: int, last: int) -> None:
    for step in range(first, last):
        balance.see(step, torch.tensor(values))


def test_a_fair_game_is_no_trouble() -> None:
    assert trouble(Seen(*FINE)) == ""


@pytest.mark.parametrize(("words", "values"), WRONG.items())
def test_a_collapse_is_told_once_with_its_step(words: str, values: tuple[float, ...]) -> None:
    balance = Balance(patience=100)
    run(balance, FINE, 0, 50)
    with pytest.warns(GanCollapseWarning, match=words) as caught:
        run(balance, values, 50, 500)
    assert len(caught) == 1
    since = int(str(caught[0].message).split("since step ")[1].split(":")[0])
    assert 50 <= since < 300


def test_a_short_imbalance_is_forgiven() -> None:
    balance = Balance(patience=100)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for first in range(0, 1000, 150):
            run(balance, WRONG["cannot tell"], first, first + 90)
            run(balance, FINE, first + 90, first + 150)


def test_the_state_goes_on() -> None:
    balance, other = Balance(patience=100), Balance(patience=100)
    run(balance, WRONG["cannot tell"], 0, 60)
    other.load_state_dict(balance.state_dict())
    assert other.seen == balance.seen
    with pytest.warns(GanCollapseWarning, match="since step 0"):
        run(other, WRONG["cannot tell"], 60, 120)
    balance.load_state_dict(other.state_dict())
    assert balance.told


def test_before_anything_was_seen() -> None:
    assert Balance(patience=1).seen == Seen(0.5, 0.5, 1.0)
