import dataclasses

from espalier.report import folder, text


def test_the_markdown_report_tells_result_cut_and_settings(run_folder) -> None:
    report = text.render(folder.read(run_folder))
    assert report.startswith("# rnet ×4\n\nThe recovered network keeps 50.0% of the MACs")
    assert "| pruned | 25.31 |" in report
    assert "- blocks.0.conv1: 3 of 8 channels stay" in report
    assert "- budget: `macs=0.5`" in report
    assert "[report/index.html](report/index.html)" in report


def test_parts_that_a_run_lacks_have_no_heading(run_folder) -> None:
    run = dataclasses.replace(folder.read(run_folder), plan=None, log=(), environment={})
    report = text.render(run)
    assert "## What was cut" not in report
    assert "## Training" not in report
    assert "## Environment" not in report
