"""Ctrl-C during calibration."""

import contextlib
from pathlib import Path

import pytest
from rich.console import Console

from espalier import calibration
from espalier.networks.load import load
from espalier.recipes import console
from espalier.recipes.compress import CompressSettings, compress
from espalier.report import folder
from tests.recipes.conftest import TINY


def interrupted(*_: object, **__: object) -> None:
    raise KeyboardInterrupt


def test_nothing_is_left_half_written_and_the_run_can_be_made_again(
    photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = {"recover": 0, "timing": False, "hold_out": 1}
    with monkeypatch.context() as patched:
        patched.setattr(calibration, "refit", interrupted)
        with pytest.raises(KeyboardInterrupt):
            compress(TINY, photos, tmp_path / "run", CompressSettings(**settings))
    left = {path.name for path in (tmp_path / "run").rglob("*") if path.is_file()}
    assert left == {folder.CONFIG, "environment.json"}
    out = compress(TINY, photos, tmp_path / "run", CompressSettings(**settings, resume=True))
    assert load(out / folder.NETWORK).scale == 2


def test_the_display_ends_with_what_it_shows(monkeypatch: pytest.MonkeyPatch) -> None:
    shown: list[Console] = []

    def terminal(**_: object) -> Console:
        shown.append(Console(force_terminal=True, width=80, record=True))
        return shown[-1]

    monkeypatch.setattr(console, "Console", terminal)
    with contextlib.suppress(KeyboardInterrupt), console.telling() as tell:
        tell("refitting, way 1 of 3")
        tell("so far 40.00 dB")
        assert len(shown[0]._live_stack) == 1
        raise KeyboardInterrupt
    assert shown[0]._live_stack == []


def test_without_a_terminal_nothing_is_shown(capsys: pytest.CaptureFixture[str]) -> None:
    with console.telling() as tell:
        tell("refitting")
    assert capsys.readouterr() == ("", "")
