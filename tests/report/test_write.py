import os

import pytest

from espalier.errors import OutputError
from espalier.report.write import write, write_comparison


def test_both_reports_are_written_beside_the_run(run_folder) -> None:
    assert write(run_folder) == run_folder / "report" / "index.html"
    assert (run_folder / "report" / "index.html").read_text().startswith("<!doctype html>")
    assert (run_folder / "report.md").read_text().startswith("# rnet")


def test_a_comparison_goes_where_it_is_wanted(run_folder, tmp_path) -> None:
    assert write_comparison([run_folder], tmp_path / "new" / "all.html").is_file()


def test_a_place_that_cannot_be_written_is_named(run_folder) -> None:
    (run_folder / "report").write_text("a file where a folder should be")
    with pytest.raises(OutputError, match="report"):
        write(run_folder)


def test_nothing_half_written_is_left(run_folder, monkeypatch) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(28, os.strerror(28))

    monkeypatch.setattr("pathlib.Path.write_text", full)
    with pytest.raises(OutputError, match="No space left"):
        write(run_folder)
    assert not list(run_folder.rglob("*.part"))
