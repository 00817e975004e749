"""Prices: damage per saving, along the convex hull of both."""

import numpy as np
import pytest

from espalier.allocation import Budget
from espalier.calibration import Elimination
from espalier.channels.cost import CostModel, Curve, Terms
from espalier.methods.calibrated.prices import prices


def costs(curve: Curve, groups: int = 1) -> CostModel:
    none = Terms(np.ones(1), np.zeros(0, dtype=np.int64), np.zeros((0, groups + 1)))
    names = tuple("abc"[:groups])
    return CostModel(names, none, none, (), {"latency": curve})


def falling(steps: np.ndarray) -> Elimination:
    """Channels go from the last to the first, each adding its step."""
    return Elimination(np.arange(len(steps))[::-1].copy(), np.cumsum(steps))


HALF = Budget.parse("latency=0.5")


def test_even_savings_leave_damage_per_saving() -> None:
    steps = np.array([1.0, 2.0, 4.0, 8.0])
    found = prices({"a": falling(steps)}, costs(lambda kept: 4 * kept[0]), HALF)["a"]
    assert found[::-1] == pytest.approx(steps, rel=1e-6)


def test_prices_ascend_in_the_order_in_which_channels_go_even_where_damages_do_not() -> None:
    found = prices({"a": falling(np.array([1.0, 5.0, 0.1, 0.2, 9.0]))}, costs(lambda kept: kept[0]), HALF)[
        "a"
    ]
    assert (np.diff(found[::-1]) > 0).all()


def test_channels_before_a_step_of_the_time_cost_as_much_as_the_step() -> None:
    def stairs(kept: np.ndarray) -> float:
        return float(np.ceil(kept[0] * 8 / 4 - 1e-9))

    found = prices({"a": falling(np.ones(8))}, costs(stairs), HALF)["a"][::-1]
    assert found == pytest.approx(np.full(8, 4.0), rel=1e-6)


def test_a_group_whose_loss_saves_more_is_cheaper() -> None:
    same = falling(np.ones(4))
    found = prices({"a": same, "b": same}, costs(lambda kept: kept[0] + 10 * kept[1], 2), HALF)
    assert found["a"] == pytest.approx(10 * found["b"], rel=1e-6)


def test_only_round_counts_are_corners() -> None:
    found = prices({"a": falling(np.arange(1.0, 17.0))}, costs(lambda kept: 16 * kept[0]), HALF, round_to=8)[
        "a"
    ]
    assert found[::-1][:8] == pytest.approx(np.full(8, 4.5), rel=1e-6)
    assert found[::-1][8:] == pytest.approx(np.full(8, 12.5), rel=1e-6)
