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
        ("activations=0.5", "activations", 0.5),
        ("activations=20M", "activations", 20e6),
        ("memory=0.5", "memory", 0.5),
        ("memory=200MB", "memory", 200e6),
        ("memory=2 GiB", "memory", 2.0**31),
        ("latency=0.4", "latency", 0.4),
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


def test_times_and_image_sizes() -> None:
    read = Budget.parse("latency=20ms@1920x1080")
    assert read == Budget("latency", 20.0, True, (1080, 1920))
    assert read.limit(5.0) == 20.0
    assert Budget.parse("latency=0.5ms").limit(5.0) == 0.5
    assert Budget.parse("latency=0.5").limit(5.0) == 2.5
    assert Budget.parse("latency = 1.5 s").value == 1500.0
    assert Budget.parse("memory=0.5@640x480").size == (480, 640)
    for text in ("latency=20ms@1920x1080", "latency=0.4", "memory=2e+08", "macs=0.5@640x480"):
        assert str(Budget.parse(text)) == text


@pytest.mark.parametrize(
    "text",
    ["latency=20", "latency=1", "latency=0ms", "latency=5K", "macs=5ms", "memory=5", "memory=5ms", "params=0.5@8x8",
     "ratio=0.5@64x64", "macs=0.5@64", "macs=0.5@0x64", "ratio=0.5ms"],
)  # fmt: skip
def test_units_and_sizes_belong_to_their_kinds(text: str) -> None:
    with pytest.raises(PlanError, match=r"expected macs=0\.5"):
        Budget.parse(text)
