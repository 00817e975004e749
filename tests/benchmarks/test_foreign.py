"""The page of networks outside the survey."""

from tests.benchmarks.conftest import Script


def test_one_network_is_measured_and_told(script: Script) -> None:
    foreign = script("foreign")
    row = foreign.measure("tests.foreign.convolutions:coupling")
    assert row["proven"]
    assert row["reload"] == 0
    assert row["macs"][0] > 3 * row["macs"][1]
    page = foreign.page({"coupling": row, "wrong": row | {"proven": False}})
    assert "| coupling |" in page
    assert "**no**" in page
