"""Ctrl-C during calibration, and while a method learns."""

import contextlib
from pathlib import Path

import pytest
import torch
from rich.console import Console

from espalier import calibration, training
from espalier.methods.growing import Growing
from espalier.networks.file import save
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


LEARNED = [
    pytest.param("assl", {"steps": 6}, "sparsity", id="assl"),
    pytest.param("gassl", {"select": 4, "steps": 6}, "selection", id="gassl, while shares are found"),
    pytest.param("gassl", {"select": 4, "steps": 6}, "sparsity", id="gassl, while channels are pressed"),
    pytest.param(
        "stepwise", {"rounds": 3, "steps": 4, "learn": "growing", "learn_steps": 4}, "sparsity-2", id="stepwise"
    ),
    pytest.param("guided", {"steps": 4, "optimizer": "soap"}, "round-1", id="guided"),
]  # fmt: skip
"""Methods that learn, their options, and the phase that is interrupted."""


@pytest.mark.parametrize(("method", "options", "where"), LEARNED)
def test_a_method_that_learns_goes_on_bit_for_bit(
    method: str,
    options: dict[str, object],
    where: str,
    photos: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    settings = CompressSettings(
        method=method, options=options, budget="macs=0.6", recover=2, batch=2, patch=12, timing=False, hold_out=1,
        device="cpu",
    )  # fmt: skip
    network = str(tmp_path / "tiny.safetensors")
    save(load(TINY), Path(network))
    whole = load(compress(network, photos, tmp_path / "whole", settings) / folder.NETWORK).state_dict()
    before = Growing.after_step

    def stopped(self: Growing, step: int) -> None:
        before(self, step)
        if step == 3 and (tmp_path / "run" / folder.PHASES / where / "checkpoints").exists():
            raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(Growing, "after_step", stopped)
        with pytest.raises((KeyboardInterrupt, training.Interrupted)):
            compress(network, photos, tmp_path / "run", settings)
    again = compress(network, photos, tmp_path / "run", settings.model_copy(update={"resume": True}))
    resumed = load(again / folder.NETWORK).state_dict()
    assert whole.keys() == resumed.keys()
    assert all(torch.equal(whole[name], resumed[name]) for name in whole)
