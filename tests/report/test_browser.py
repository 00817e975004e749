"""The page in a real browser: it works, fetches nothing, complains of nothing."""

import os
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest

from espalier.report.write import write, write_comparison
from tests.report import browser
from tests.report.conftest import write_run

CUT = "getComputedStyle(document.querySelector('.stage')).getPropertyValue('--cut')"
SIDE = "document.querySelector('.stage .name-{}').textContent"
BACKGROUND = "getComputedStyle(document.body).backgroundColor"


@pytest.fixture(scope="module")
def chromium():
    if browser.executable() is None:
        message = "no chromium: apt-get install chromium"
        if os.environ.get("ESPALIER_REQUIRE_CHROMIUM") == "1":
            pytest.fail(message)
        pytest.skip(message)
    with browser.opened() as page:
        yield page


@pytest.fixture
def opened(chromium, run_folder):
    chromium.fetched.clear()
    chromium.complaints.clear()
    chromium.open(write(run_folder))
    chromium.js("document.documentElement.style.scrollBehavior = 'auto'")
    yield chromium
    assert not chromium.complaints
    assert all(url.startswith(("data:", "file:")) for url in chromium.fetched)
    assert sum(url.startswith("file:") for url in chromium.fetched) == 1


def test_the_viewer_starts_with_dense_against_recovered(opened) -> None:
    assert opened.js(SIDE.format("left")) == "dense"
    assert opened.js(SIDE.format("right")) == "recovered"
    assert opened.js("[...document.images].every(i => !i.src || i.naturalWidth > 0)")
    assert opened.js("document.querySelectorAll('.crop.chosen').length") == 1


def test_opening_the_page_and_going_through_the_crops_does_not_scroll_it(opened) -> None:
    assert opened.js("document.querySelector('.thumbs').getBoundingClientRect().top > innerHeight")
    assert opened.js("scrollY") == 0
    opened.key("j", "KeyJ")
    assert opened.js("scrollY") == 0


def test_the_strip_of_crops_follows_the_choice(opened) -> None:
    opened.js("document.querySelector('.thumbs').style.width = '100px'")
    opened.key("k", "KeyK")
    assert opened.js("document.querySelector('.thumbs').scrollLeft") > 0


def test_dragging_moves_the_line(opened) -> None:
    opened.js("document.querySelector('.stage').scrollIntoView({block: 'center'})")
    box = opened.js("document.querySelector('.stage').getBoundingClientRect().toJSON()")
    y = box["y"] + box["height"] / 2
    opened.drag((box["x"] + box["width"] / 2, y), (box["x"] + box["width"] * 0.2, y))
    assert float(opened.js(CUT).rstrip("%")) == pytest.approx(20, abs=3)
    clip = opened.js("getComputedStyle(document.querySelector('.stage .right')).clipPath")
    assert opened.js(CUT) in clip


def test_arrow_keys_move_the_line(opened) -> None:
    opened.js("document.querySelector('.stage input').focus()")
    opened.key("ArrowRight", "ArrowRight", virtual=39)
    assert opened.js(CUT) == "50.5%"


def test_digits_choose_the_versions(opened) -> None:
    opened.key("1", "Digit1")
    opened.key("!", "Digit5", shift=True)
    assert opened.js(SIDE.format("right")) == "bicubic"
    assert opened.js(SIDE.format("left")) == "original"


def test_j_and_k_go_through_the_crops(opened) -> None:
    chosen = "[...document.querySelectorAll('.crop')].findIndex(c => c.classList.contains('chosen'))"
    first = opened.js("document.querySelector('.stage .left').src")
    opened.key("j", "KeyJ")
    assert opened.js(chosen) == 1
    assert opened.js("document.querySelector('.stage .left').src") != first
    opened.key("k", "KeyK")
    opened.key("k", "KeyK")
    assert opened.js(chosen) == 2


def test_the_theme_follows_the_system_and_the_button(opened) -> None:
    opened.js("localStorage.clear(); delete document.documentElement.dataset.theme")
    seen = []
    for scheme in ("light", "dark"):
        opened.call(
            "Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": scheme}]
        )
        seen.append(opened.js(BACKGROUND))
    assert seen[0] != seen[1]
    opened.js("document.getElementById('theme').click()")
    assert opened.js(BACKGROUND) == seen[0]
    opened.key("t", "KeyT")
    assert opened.js(BACKGROUND) == seen[1]
    opened.js("localStorage.clear()")
    opened.call("Emulation.setEmulatedMedia", features=[])


def test_print_shows_every_crop_and_no_viewer(opened) -> None:
    opened.call("Emulation.setEmulatedMedia", media="print")
    shown = "[...document.querySelectorAll('{}')].filter(e => e.getClientRects().length).length"
    assert opened.js(shown.format(".crop")) == 3
    assert opened.js(shown.format(".viewer, .thumbs, nav")) == 0
    opened.call("Emulation.setEmulatedMedia", media="")


def test_a_narrow_screen_needs_no_sideways_scrolling(opened) -> None:
    opened.call(
        "Emulation.setDeviceMetricsOverride", width=390, height=800, deviceScaleFactor=1, mobile=False
    )
    assert opened.js("document.documentElement.scrollWidth") <= 390
    opened.call("Emulation.clearDeviceMetricsOverride")


def test_crops_show_without_scripts(opened) -> None:
    opened.js("document.documentElement.classList.remove('js')")
    shown = "[...document.querySelectorAll('.crop')].filter(e => e.getClientRects().length).length"
    assert opened.js(shown) == 3


def test_a_comparison_leads_to_the_reports_of_its_runs(chromium, tmp_path) -> None:
    chromium.fetched.clear()
    chromium.complaints.clear()
    paths = [write_run(tmp_path / name, macs=macs) for name, macs in (("half", 50e9), ("most", 75e9))]
    for path in paths:
        write(path)
    chromium.open(write_comparison(paths, tmp_path / "index.html", max_loss=0.3))
    assert chromium.js("document.querySelectorAll('.chart').length") == 3
    assert chromium.js("document.querySelector('tr.result a').textContent") == "half"
    colours = (
        "new Set([...document.querySelectorAll('.chart .dot')].map(d => getComputedStyle(d).color)).size"
    )
    assert chromium.js(colours) == 2
    chromium.open(Path(unquote(urlsplit(chromium.js("document.querySelector('tr.result a').href")).path)))
    assert chromium.js("document.querySelector('header .run').textContent") == "half"
    assert not chromium.complaints
    assert all(url.startswith(("data:", "file:")) for url in chromium.fetched)
