import pytest

from espalier.report import compare, folder
from tests.report.conftest import write_run


@pytest.fixture
def runs(tmp_path) -> list[folder.Run]:
    write_run(tmp_path / "half", macs=50e9, psnr=31.6)
    write_run(tmp_path / "most", macs=75e9, psnr=31.8)
    return [folder.read(tmp_path / "half"), folder.read(tmp_path / "most")]


def test_one_dense_row_and_one_row_per_run(runs) -> None:
    html = compare.render(runs)
    assert html.count('<tr><th scope="row">') == 3
    assert "2 runs compared" in html
    assert "most has the highest PSNR, 31.80 dB" in html


def test_quality_is_drawn_against_every_cost(runs) -> None:
    html = compare.render(runs)
    for cost in ("MACs [G]", "Params [M]", "Time [ms]"):
        assert f"PSNR against {cost}" in html


def test_runs_without_measurements_are_said_to_be_so(tmp_path) -> None:
    (tmp_path / "config.yaml").write_text("command: compress\n")
    assert "None of these runs has been measured." in compare.render([folder.read(tmp_path)])
