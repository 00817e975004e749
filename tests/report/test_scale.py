import pytest
from hypothesis import given
from hypothesis import strategies as st

from espalier.report.scale import axis, label, thin, ticks


@given(st.floats(-1e6, 1e6), st.floats(1e-3, 1e6))
def test_ticks_are_even_few_and_inside(low: float, length: float) -> None:
    found = ticks(low, low + length)
    assert 1 <= len(found) <= 7
    assert all(low - 1e-6 * length <= t <= low + length * (1 + 1e-6) for t in found)


def test_ticks_are_round() -> None:
    assert ticks(0, 1) == (0, 0.2, 0.4, 0.6, 0.8, 1.0)
    assert ticks(27.1, 31.6) == (28, 29, 30, 31)


@pytest.mark.parametrize(
    ("value", "text"), [(0, "0"), (0.02, "0.02"), (0.0002, "2e-4"), (500, "500"), (1200, "1.2k"), (3e6, "3M")]
)
def test_labels_are_short(value: float, text: str) -> None:
    assert label(value) == text


def test_an_axis_holds_all_values_even_equal_ones() -> None:
    for values in ([1.0, 3.0], [2.0, 2.0], [0.0, 0.0]):
        x = axis(values, 0, 100)
        assert all(0 < x(v) < 100 for v in values)


@given(st.lists(st.floats(0, 1), min_size=1, max_size=300), st.integers(1, 50))
def test_thinning_keeps_the_mean_level_and_the_order(values: list[float], most: int) -> None:
    points = list(enumerate(values))
    drawn = thin(points, most)
    assert len(drawn) <= most or len(points) <= most
    assert [x for x, _ in drawn] == sorted(x for x, _ in drawn)
    assert min(values) - 1e-9 <= min(y for _, y in drawn) <= max(y for _, y in drawn) <= max(values) + 1e-9
