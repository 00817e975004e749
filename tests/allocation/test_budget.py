import pytest

from espalier.allocation import Budget
from espalier.errors import PlanError


@pytest.mark.parametrize(
    ("text", "kind", "value"),
    [
        ("macs=0.5", "macs", 0.5),
        (" PARAMS = 300K ", "params", 300e3),
        ("macs=20G", "macs", 20e9),
        ("macs=1.5t", "macs", 1.5e12),
        ("params=250000", "params", 250e3),
        ("params=1e6", "params", 1e6),
        ("ratio=0.3", "ratio", 0.3),
    ],
)
def test_budgets_are_read(text: str, kind: str, value: float) -> None:
    assert Budget.parse(text) == Budget(kind, value)


@pytest.mark.parametrize(
    "text",
    ["", "macs", "macs=", "macs=0", "macs=2", "macs=1", "macs=-0.5", "ratio=1", "ratio=2K", "speed=0.5",
     "macs=0.5.5", "macs=half", "macs=50%", "params=999"],
)  # fmt: skip
def test_anything_else_is_refused_with_what_is_expected(text: str) -> None:
    with pytest.raises(PlanError, match=r"expected macs=0\.5"):
        Budget.parse(text)


def test_limits() -> None:
    assert Budget.parse("macs=0.5").limit(200.0) == 100.0
    assert Budget.parse("macs=5K").limit(200.0) == 5000.0
    assert Budget.parse("ratio=0.25").limit(200.0) == 150.0


def test_a_budget_is_written_as_it_is_read() -> None:
    assert str(Budget.parse("macs=0.5")) == "macs=0.5"
    assert Budget.parse(str(Budget.parse("ratio=0.3"))) == Budget("ratio", 0.3)
