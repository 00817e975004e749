import dataclasses
import re
from pathlib import Path

from espalier.report import folder, page


def test_the_page_holds_everything_and_fetches_nothing(run_folder) -> None:
    html = page.render(folder.read(run_folder))
    assert len(html) < 5_000_000
    assert all(src.startswith("data:") for src in re.findall(r'(?:src|href)="([^"#][^"]*)"', html))
    assert not re.search(r"@import|url\((?!data:)|https?://", html)
    assert "default-src 'none'" in html


def test_every_section_of_a_whole_run_is_there(run_folder) -> None:
    html = page.render(folder.read(run_folder))
    for anchor in ("results", "pictures", "front", "channels", "training", "details"):
        assert f'<section id="{anchor}"' in html
        assert f'href="#{anchor}"' in html
    assert html.count('<article class="crop card"') == 3


def test_what_was_not_measured_is_not_shown(tmp_path) -> None:
    (tmp_path / "config.yaml").write_text("command: compress\n")
    html = page.render(folder.read(tmp_path))
    assert "This run has not been measured yet." in html
    for anchor in ("results", "pictures", "channels", "training", "front"):
        assert f'<section id="{anchor}"' not in html


def test_very_many_groups_are_folded_away(run_folder) -> None:
    run = folder.read(run_folder)
    assert run.plan is not None
    assert 'class="card fold"' not in page.render(run)
    many = dataclasses.replace(run.plan, choices=run.plan.choices * 30)
    assert "<summary>All 90 groups</summary>" in page.render(dataclasses.replace(run, plan=many))


def test_changes_stand_under_the_values(run_folder) -> None:
    html = page.render(folder.read(run_folder))
    assert "31.63<small>−0.24</small>" in html
    assert "50.00<small>50.0%</small>" in html


def test_names_cannot_break_out_of_the_page(run_folder) -> None:
    run = folder.read(run_folder)
    evil = "<script>alert(1)</script>"
    crop = dataclasses.replace(run.crops[0], image=evil)
    run = dataclasses.replace(
        run, config={"network": evil}, metrics={**run.metrics, "network": evil}, crops=(crop,)
    )
    assert evil not in page.render(run)


def test_crops_beyond_the_budget_are_mentioned(run_folder, monkeypatch) -> None:
    monkeypatch.setattr("espalier.report.pictures.BUDGET", 60_000)
    html = page.render(folder.read(run_folder))
    assert re.search(r"[12] more lie in the folder", html)


def test_each_phase_of_a_method_has_its_own_curves(run_folder: Path) -> None:
    for name in ("hair", "assl"):
        (run_folder / "phases" / name).mkdir(parents=True)
        (run_folder / "phases" / name / "log.jsonl").write_text((run_folder / "log.jsonl").read_text())
    text = page.render(folder.read(run_folder))
    assert text.index("<h3>hair</h3>") < text.index("<h3>assl</h3>") < text.index("<h3>recovery</h3>")
    assert text.count("500 steps, 2.50 a second.") == 3


def test_a_single_training_needs_no_heading(run_folder: Path) -> None:
    assert "<h3>recovery" not in page.render(folder.read(run_folder))
