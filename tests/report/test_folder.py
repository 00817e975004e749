import pytest

from espalier.report import folder
from espalier.report.folder import RunError


def test_everything_is_read(run_folder) -> None:
    run = folder.read(run_folder)
    assert run.name == "halved"
    assert run.config["budget"] == "macs=0.5"
    assert run.plan is not None
    assert len(run.plan.choices) == 3
    assert len(run.log) == 50
    assert run.crops[1].files["dense"].is_file()
    assert run.crops[1].box == (1, 1, 49, 49)


def test_a_run_that_only_began_is_read(tmp_path) -> None:
    (tmp_path / "config.yaml").write_text("command: compress\n")
    run = folder.read(tmp_path)
    assert (run.plan, run.cost, run.metrics, run.log, run.crops) == (None, {}, {}, (), ())


def test_another_folder_is_refused(tmp_path) -> None:
    with pytest.raises(RunError, match="is not a run folder"):
        folder.read(tmp_path)


@pytest.mark.parametrize(
    "name", ["cost.json", "metrics.json", "plan.json", "crops/crops.json", "config.yaml"]
)
def test_a_damaged_file_is_named(run_folder, name: str) -> None:
    path = run_folder / name
    path.write_text("{" + path.read_text()[:-3])
    with pytest.raises(RunError, match=path.name):
        folder.read(run_folder)


def test_a_last_log_line_cut_short_is_left_out(run_folder) -> None:
    path = run_folder / "log.jsonl"
    path.write_text(path.read_text() + '{"step": 5')
    assert len(folder.read(run_folder).log) == 50


def test_a_damaged_line_inside_the_log_is_named(run_folder) -> None:
    path = run_folder / "log.jsonl"
    path.write_text("nonsense\n" + path.read_text())
    with pytest.raises(RunError, match="line 1"):
        folder.read(run_folder)
