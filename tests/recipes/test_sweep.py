import signal
from pathlib import Path
from typing import Any

import pytest
import yaml

from espalier import cli, training
from espalier.errors import EspalierError, ImageError, OutputError, PlanError
from espalier.recipes import compress as compress_recipe
from espalier.recipes import sets
from espalier.recipes import sweep as recipe
from espalier.recipes.compress import CompressSettings
from espalier.recipes.grid import Cell, Grid, cell_settings, cells
from espalier.report import folder
from tests.recipes.test_compress import tiny_file

FAST = {"recover": 2, "batch": 2, "patch": 12, "timing": False, "device": "cpu"}


def grid(photos: Path, budgets: str = "0.75,0.5", methods: str = "magnitude", **changed: Any) -> Grid:
    settings = CompressSettings.model_validate(FAST | changed)
    made = cells(methods.split(","), budgets.split(","))
    return Grid(tiny_file(photos.parent), photos, photos.parent / "sweep", made, settings, max_loss=50.0)


@pytest.fixture
def compressions(monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """The run folders that `compress` was called for."""
    called: list[Path] = []

    def watched(reference: str, data: Path, out: Path, settings: CompressSettings) -> Path:
        called.append(out)
        return compress_recipe.compress(reference, data, out, settings)

    monkeypatch.setattr(recipe, "compress", watched)
    return called


def test_every_method_meets_every_budget_and_one_page_compares_them(photos: Path) -> None:
    wish = grid(photos, methods="magnitude,calibrated")
    page = recipe.sweep(wish)
    assert [path.name for path in wish.present] == [
        "magnitude-macs0.75", "calibrated-macs0.75", "magnitude-macs0.5", "calibrated-macs0.5"
    ]  # fmt: skip
    html = page.read_text()
    assert "4 runs compared" in html
    assert "PSNR against MACs [G]" in html
    assert "The smallest that loses at most 50 dB is" in html
    assert 'href="magnitude-macs0.5/report/index.html"' in html
    assert len(recipe.found(wish)) == 4


def test_what_is_finished_is_kept_and_more_may_join(photos: Path, compressions: list[Path]) -> None:
    recipe.sweep(grid(photos, budgets="0.75"))
    recipe.sweep(grid(photos, budgets="0.75,0.5"))
    assert [path.name for path in compressions] == ["magnitude-macs0.75", "magnitude-macs0.5"]


def test_overwrite_begins_anew(photos: Path, compressions: list[Path]) -> None:
    recipe.sweep(grid(photos, budgets="0.5"))
    recipe.sweep(grid(photos, budgets="0.5", recover=3, overwrite=True))
    assert len(compressions) == 2
    config = yaml.safe_load((compressions[0] / "config.yaml").read_text())
    assert config["recover"] == 3


def test_an_interrupted_cell_goes_on_and_the_rest_follows(
    photos: Path, compressions: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    wish, honest = grid(photos, recover=4), training.psnr_on

    def interrupting(images: Any) -> training.Validation:
        def validate(network: Any) -> dict[str, float]:
            if len(compressions) == 2:
                signal.raise_signal(signal.SIGINT)
            return dict(honest(images)(network))

        return validate

    with monkeypatch.context() as patch:
        patch.setattr(sets, "psnr_on", interrupting)
        with pytest.raises(training.Interrupted, match=r"1 of 2 are finished.*the same command goes on"):
            recipe.sweep(wish)
    assert "1 runs" not in (wish.out / "index.html").read_text()  # a page of what there is
    pruned = (wish.out / "magnitude-macs0.5" / "plan.json").stat().st_mtime_ns
    recipe.sweep(wish)
    assert [path.name for path in compressions] == ["magnitude-macs0.75", *["magnitude-macs0.5"] * 2]
    assert (wish.out / "magnitude-macs0.5" / "plan.json").stat().st_mtime_ns == pruned
    assert len(wish.present) == 2


def test_a_cell_that_was_killed_before_it_pruned_is_made(photos: Path) -> None:
    wish = grid(photos, budgets="0.5")
    recipe.sweep(wish)
    (place,) = wish.present
    for path in sorted(place.rglob("*"), reverse=True):
        if path.name != "config.yaml":
            path.rmdir() if path.is_dir() else path.unlink()
    assert not wish.present
    recipe.sweep(wish)
    assert wish.present == [place]
    assert (place / "network.safetensors").is_file()


def test_an_interruption_outside_of_training_is_told_alike(
    photos: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(*_: object) -> Path:
        raise KeyboardInterrupt

    monkeypatch.setattr(recipe, "compress", interrupted)
    with pytest.raises(training.Interrupted, match="0 of 2 are finished"):
        recipe.sweep(grid(photos))


def test_a_budget_that_cannot_be_met_is_left_out_and_told(photos: Path, capsys) -> None:
    page = recipe.sweep(grid(photos, budgets="0.5,0.001"))
    assert "left out: the budget macs=0.001 cannot be met" in " ".join(capsys.readouterr().err.split())
    assert "Not made" in page.read_text()
    with pytest.raises(PlanError, match="none of the 1 networks could be made; the budget"):
        recipe.sweep(grid(photos, budgets="0.002"))


def test_what_concerns_all_cells_stops_the_sweep(tmp_path: Path) -> None:
    with pytest.raises(ImageError, match="no such folder"):
        recipe.sweep(grid(tmp_path / "nowhere"))


@pytest.mark.parametrize("changed", [{"recover": 3}, {"seed": 1}, {"protect": ("body.0.*",)}])
def test_other_settings_in_the_same_folder_are_refused(photos: Path, changed: dict[str, Any]) -> None:
    recipe.sweep(grid(photos, budgets="0.5"))
    key = next(iter(changed))
    with pytest.raises(OutputError, match=f"was made with {key}.*--overwrite"):
        recipe.sweep(grid(photos, budgets="0.5", **changed))


def test_a_setting_that_is_newer_than_the_run_is_as_by_default(
    photos: Path, compressions: list[Path]
) -> None:
    recipe.sweep(grid(photos, budgets="0.5"))
    config = compressions[0] / "config.yaml"
    kept = [line for line in config.read_text().splitlines() if not line.startswith("criterion")]
    config.write_text("\n".join(kept))
    recipe.sweep(grid(photos, budgets="0.5"))
    assert len(compressions) == 1
    with pytest.raises(OutputError, match="with criterion: l2, and now criterion is l1"):
        recipe.sweep(grid(photos, budgets="0.5", criterion="l1"))


def test_a_folder_of_something_else_is_refused(photos: Path) -> None:
    wish = grid(photos)
    wish.out.mkdir()
    (wish.out / "letter.txt").write_text("mine")
    with pytest.raises(OutputError, match="holds no sweep"):
        recipe.sweep(wish)


def test_a_plain_number_is_a_share_of_the_macs() -> None:
    found = cells(["magnitude"], ["0.5", "params=300K"])
    assert found == (Cell("magnitude", "macs=0.5"), Cell("magnitude", "params=300K"))
    assert found[1].name == "magnitude-params300K"


def test_each_method_gets_its_own_options(photos: Path) -> None:
    wish = grid(photos, methods="magnitude,calibrated", options={"calibrated": {"patches": "8"}})
    given = {cell.method: cell_settings(wish, cell).options for cell in wish.cells}
    assert given == {"magnitude": {}, "calibrated": {"patches": "8"}}
    with pytest.raises(PlanError, match=r"no method of this sweep.*--options\.magnitude\.steps"):
        recipe.sweep(grid(photos, options={"steps": 2}))


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        (["--budgets", ","], "--budgets is ','"),
        (["--budgets", "half"], "cannot read the budget 'macs=half'"),
        (["--methods", "magnitud"], "did you mean 'magnitude'"),
        (["--budget", "0.5"], "Did you mean --budgets"),
        (["--max-loss", "much"], "max-loss"),
    ],
)
def test_wrong_wishes_are_refused_before_anything_starts(photos: Path, flags: list[str], words: str) -> None:
    with pytest.raises(Exception, match=words) as caught:
        cli.run(cli.split(["sweep", "x.pth", "--data", str(photos), "--out", str(photos / "out"), *flags]))
    assert isinstance(caught.value, EspalierError) or cli.describe(caught.value)
    assert not (photos / "out").exists()


def test_the_written_settings_repeat_the_sweep(photos: Path, compressions: list[Path], capsys) -> None:
    wish = grid(photos, budgets="0.5")
    recipe.sweep(wish)
    again = photos.parent / "again"
    cli.run(cli.split(["sweep", "--config", str(wish.out / "sweep.yaml"), "--out", str(again)]))
    assert [path.parent.name for path in compressions] == ["sweep", "again"]
    assert capsys.readouterr().out.startswith(
        "The smallest that loses at most 50 dB is magnitude-macs0.5: it "
    )
    assert folder.read(again / "magnitude-macs0.5").config["recover"] == 2
