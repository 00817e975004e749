import json
import sys
from pathlib import Path

import pytest
from PIL import Image

from espalier import cli
from espalier.recipes import demo
from espalier.report import folder

NETWORK = Path(demo.__file__).parents[1] / "demo" / demo.NETWORK


def test_the_bundled_network_is_small() -> None:
    assert NETWORK.stat().st_size <= 2_000_000


def test_the_demo_runs_offline_and_shows_every_row(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys
) -> None:
    def no_network(*_: object, **__: object) -> None:
        raise AssertionError("the demo reached for the network")

    monkeypatch.setattr("socket.socket.connect", no_network)
    monkeypatch.setattr("espalier.recipes.measure.SECONDS", 0.0)
    monkeypatch.setattr("espalier.recipes.measure.HEAVY", 5e9)
    out = tmp_path / "demo"
    monkeypatch.setattr(sys, "argv", ["espalier", "demo", "--out", str(out), "--recover", "2"])
    cli.main()
    shown = capsys.readouterr().out
    assert all(row in shown for row in ("bicubic", "dense", "pruned", "recovered"))
    assert "49." in shown or "50." in shown
    rows = json.loads((out / "metrics.json").read_text())["rows"]
    assert rows["dense"]["mean"]["psnr"] > rows["bicubic"]["mean"]["psnr"] + 1
    assert rows["pruned"]["mean"]["psnr"] < rows["dense"]["mean"]["psnr"]
    assert (out / folder.PAGE).is_file()
    with Image.open(out / "comparison.png") as sheet:
        assert sheet.width > 1000


@pytest.mark.slow
def test_half_of_the_network_is_nearly_as_good(tmp_path: Path) -> None:
    rows = json.loads((demo.demo(tmp_path / "demo", 200) / "metrics.json").read_text())["rows"]
    dense, pruned, recovered = (rows[name]["mean"]["psnr"] for name in ("dense", "pruned", "recovered"))
    assert dense - pruned < 0.25
    assert dense - recovered < 0.8 * (dense - pruned)


def test_a_demo_that_was_interrupted_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    wanted: list[bool] = []
    monkeypatch.setattr(demo.compress, "compress", lambda *given: wanted.append(given[-1].resume))
    monkeypatch.setattr(demo, "write_montage", lambda *_: tmp_path)
    monkeypatch.setattr(demo.compress, "finish_on_terminal", lambda _: None)
    monkeypatch.setattr(folder, "read", lambda _: None)
    for flags in ([], ["--resume"]):
        cli.run(cli.split(["demo", "--out", str(tmp_path / "demo"), *flags]))
    assert wanted == [False, True]
