import dataclasses
from pathlib import Path

import pytest

from espalier.report import compare, folder
from espalier.report.write import write, write_comparison
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


def test_a_dense_network_timed_anew_is_the_same_network(runs) -> None:
    for k, run in enumerate(runs):
        run.cost["rows"]["dense"]["ms"] = 800.0 + k
    assert compare.render(runs).count("rnet ×4, dense</th>") == 1


def test_times_are_scaled_to_one_measurement(runs) -> None:
    """The second run was made while the machine was busy: all took twice the time."""
    for row in runs[1].cost["rows"].values():
        row["ms"] *= 2
    named = compare._alike(runs, compare._named(runs))
    assert [row.ms for _, _, row in named] == [800.0, 400.0, 400.0]
    html = compare.render(runs)
    assert html.count("<td>400.0</td>") == 2
    assert "times are scaled" in html


def test_methods_have_colours_of_their_own(runs) -> None:
    runs[0].config["method"], runs[1].config["method"] = "calibrated", "magnitude"
    html = compare.render(runs)
    assert 'class="dot series-0"' in html
    assert 'class="dot series-1"' in html
    assert (
        "series-"
        not in compare.render([dataclasses.replace(run, config={}) for run in runs]).split("</style>")[1]
    )


def test_the_smallest_that_is_good_enough_is_told_and_marked(runs) -> None:
    html = compare.render(runs, max_loss=0.3)
    assert '<p class="lead">The smallest that loses at most 0.3 dB is half' in html
    assert html.count('<tr class="result">') == 1
    assert '<tr class="result">' not in compare.render(runs, max_loss=0.01)
    assert "None of the 2 loses at most 0.01 dB" in compare.render(runs, max_loss=0.01)


def test_what_could_not_be_made_is_on_the_page(runs) -> None:
    html = compare.render(runs, missing={"magnitude-macs0.01": "the budget <0.01> cannot be met"})
    assert "Not made" in html
    assert "the budget &lt;0.01&gt; cannot be met" in html


@pytest.mark.usefixtures("runs")
def test_runs_below_the_page_are_linked(tmp_path: Path) -> None:
    write(tmp_path / "half")
    paths = [tmp_path / "half", tmp_path / "most"]
    html = write_comparison(paths, tmp_path / "index.html").read_text()
    assert 'href="half/report/index.html"' in html
    assert 'href="most' not in html  # it has no page yet
    elsewhere = write_comparison(paths, tmp_path / "other" / "index.html").read_text()
    assert "half/report" not in elsewhere


def test_a_run_of_another_set_keeps_its_own_dense_row(runs) -> None:
    runs[1].metrics["rows"]["dense"]["mean"]["psnr"] = 30.0
    assert compare.render(runs).count("rnet ×4, dense</th>") == 2
