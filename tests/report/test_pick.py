from pathlib import Path

import pytest

from espalier.report import folder
from espalier.report.pick import candidates, smallest, verdict
from tests.report.conftest import write_run


@pytest.fixture
def runs(tmp_path: Path) -> list[folder.Run]:
    for name, macs, psnr in (("most", 75e9, 31.84), ("half", 50e9, 31.80), ("least", 25e9, 31.40)):
        write_run(tmp_path / name, macs=macs, psnr=psnr)
    return [folder.read(tmp_path / name) for name in ("most", "half", "least")]


@pytest.mark.parametrize(
    ("max_loss", "expected"), [(0.1, "half"), (0.07, "half"), (0.05, "most"), (1.0, "least")]
)
def test_the_smallest_that_is_good_enough(runs: list[folder.Run], max_loss: float, expected: str) -> None:
    found = smallest(candidates(runs), max_loss)
    assert found is not None
    assert found.name == expected


def test_the_choice_is_told_with_its_figures(runs: list[folder.Run]) -> None:
    assert verdict(candidates(runs), 0.1) == (
        "The smallest that loses at most 0.1 dB is half: it loses 0.07 dB (31.87 → 31.80) at 50.0% of the MACs."
    )


def test_none_is_said_to_be_none(runs: list[folder.Run]) -> None:
    assert smallest(candidates(runs), 0.01) is None
    told = verdict(candidates(runs), 0.01)
    assert told == (
        "None of the 3 loses at most 0.01 dB: the nearest, most, loses 0.03 dB (31.87 → 31.84) at 75.0% of the MACs."
    )
    assert verdict(candidates(runs[:1]), 0.01).startswith("It does not lose at most 0.01 dB")


def test_a_gain_is_no_loss(tmp_path: Path) -> None:
    (found,) = candidates([folder.read(write_run(tmp_path / "better", psnr=31.97))])
    assert found.told().startswith("gains 0.10 dB")
    assert smallest([found], 0.0) is found


def test_equal_macs_are_decided_by_parameters(tmp_path: Path) -> None:
    runs = [folder.read(write_run(tmp_path / name, psnr=31.8)) for name in ("a", "b")]
    runs[1].cost["rows"]["pruned"]["params"] -= 1
    found = smallest(candidates(runs), 0.1)
    assert found is not None
    assert found.name == "b"


def test_runs_without_measurements_are_no_candidates(tmp_path: Path) -> None:
    (tmp_path / "config.yaml").write_text("network: a\n")
    assert candidates([folder.read(tmp_path)]) == []
    assert verdict([], 0.1) == "None of these runs has been measured."
