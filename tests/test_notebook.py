"""What notebooks show of plans and results."""

import os
from html.parser import HTMLParser
from pathlib import Path

import pytest

import espalier
from espalier.evaluation import Evaluation, ImageQuality
from espalier.notebook import bar, table
from espalier.plan import Choice, PrunePlan
from espalier.recipes.result import read
from tests.report import browser
from tests.report.conftest import write_run

EVIL = "<script>alert(1)</script>"


class Reader(HTMLParser):
    """The cells of the rows, and whether every tag is closed and harmless."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.rows: list[list[str]] = []
        self.text = ""
        self.feed(html)
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert tag in ("div", "table", "thead", "tbody", "tr", "th", "td", "span")
        assert all(name in ("style", "scope") for name, _ in attrs)
        self.open.append(tag)
        if tag == "tr":
            self.rows.append([])
        elif tag in ("td", "th"):
            self.rows[-1].append("")

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data
        if "td" in self.open or "th" in self.open:
            self.rows[-1][-1] += data


def plan() -> PrunePlan:
    choices = (Choice("body.0.conv1", 8, (0, 1, 4)), Choice(EVIL, 4, (0, 1, 2, 3)))
    return PrunePlan(
        (), (), choices, {"method": "magnitude", "budget": "macs=0.5", "proof": 2e-16, "seed": 0}
    )


def test_a_plan_shows_what_stays_of_every_group() -> None:
    shown = Reader(plan()._repr_html_())
    assert shown.rows == [
        ["Group", "Kept", "Of", ""],
        ["body.0.conv1", "3", "8", ""],
        [EVIL, "4", "4", ""],
    ]
    assert "7 of 12 channels stay" in shown.text
    assert "method magnitude, budget macs=0.5, proven to 2e-16" in shown.text
    assert "width:37.5%" in plan()._repr_html_()


def test_a_plan_without_notes_is_not_called_proven() -> None:
    assert "not proven" in PrunePlan((), (), plan().choices)._repr_html_()
    assert Reader(PrunePlan(())._repr_html_()).rows == [["Group", "Kept", "Of", ""]]


def test_an_inspection_shows_groups_and_why_some_stay_whole() -> None:
    shown = Reader(espalier.inspect(espalier.load("edsr(scale=2, blocks=1, channels=4)"))._repr_html_())
    assert shown.rows[1][:4] == ["head.0.weight", "4", shown.rows[1][2], "exact"]
    assert any(row[3] == "pinned" and row[4] for row in shown.rows)
    assert "of the parameters lie in proven groups" in shown.text


def test_an_evaluation_shows_every_image_and_the_mean() -> None:
    images = (ImageQuality("bird", 33.126, 0.95), ImageQuality(EVIL, 31.0, 0.9))
    shown = Reader(Evaluation("edsr", 2, True, images, ("broken.png",))._repr_html_())
    assert shown.rows[1:] == [["bird", "33.13", "0.9500"], [EVIL, "31.00", "0.9000"]]
    assert "edsr ×2: 32.06 dB" in shown.text
    assert "skipped: broken.png" in shown.text


def test_a_result_shows_the_table_of_its_report(tmp_path: Path) -> None:
    shown = Reader(read(write_run(tmp_path / "half"))._repr_html_())
    assert [row[0] for row in shown.rows] == ["", "bicubic", "dense", "pruned", "recovered"]
    assert "31.63" in shown.rows[-1]
    assert "50.0% of the MACs" in shown.text


def test_bars_stay_within_their_track() -> None:
    assert "width:100.0%" in bar(1.4)
    assert "width:0.0%" in bar(-1)


def test_numbers_stand_to_the_right_and_read_well() -> None:
    html = table("n", ("name", "count", "share"), [("a", 1234567, 0.123456)])
    assert ">1,234,567<" in html
    assert ">0.1235<" in html
    assert html.count("text-align:right") == 4


@pytest.mark.skipif(browser.executable() is None, reason="no chromium: apt-get install chromium")
def test_it_reads_well_on_light_and_on_dark_pages(tmp_path: Path) -> None:
    """Text takes the page's colour, and the bar stands out from both."""
    with browser.opened(800, 300) as page:
        for ink, paper in (("rgb(0, 0, 0)", "white"), ("rgb(221, 221, 221)", "#111")):
            path = tmp_path / "page.html"
            style = f"font:14px sans-serif;color:{ink};background:{paper}"
            path.write_text(f'<body style="{style}">{plan()._repr_html_()}')
            page.open(path)
            assert page.js("getComputedStyle(document.querySelector('td')).color") == ink
            assert (
                page.js("getComputedStyle(document.querySelector('td')).backgroundColor")
                == "rgba(0, 0, 0, 0)"
            )
            if folder := os.environ.get("ESPALIER_SCREENSHOTS"):
                page.screenshot(Path(folder) / f"notebook-{paper.lstrip('#')}.png")
