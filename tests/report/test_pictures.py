import base64
import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from espalier.report import folder, pictures
from espalier.report.folder import Crop


def decoded(uri: str) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(uri.partition(",")[2]))).convert("RGB"))


def test_pictures_are_embedded_without_loss(run_folder) -> None:
    run = folder.read(run_folder)
    panels, _ = pictures.panels(run.crops)
    for picture in panels[0].pictures:
        original = np.asarray(Image.open(run.crops[0].files[picture.version]))
        assert np.array_equal(decoded(picture.uri), original)


def test_error_maps_go_from_the_first_stop_to_the_last() -> None:
    picture = decoded(pictures.heat(np.array([[0.0, 5.0, 10.0, 99.0]]), 10.0))
    assert tuple(picture[0, 0]) == pictures.HEAT[0]
    assert tuple(picture[0, 2]) == tuple(picture[0, 3]) == pictures.HEAT[-1]


def test_brightness_of_the_palette_rises() -> None:
    colours = np.array(pictures.palette(64)).reshape(64, 3)
    assert (np.diff(colours @ [0.299, 0.587, 0.114]) > 0).all()


def test_the_original_has_no_error_map(run_folder) -> None:
    panels, top = pictures.panels(folder.read(run_folder).crops)
    assert top > 8
    assert {p.version: p.error is None for p in panels[0].pictures} == {
        "bicubic": False, "dense": False, "pruned": False, "recovered": False, "original": True,
    }  # fmt: skip


def test_crops_that_break_the_budget_are_left_out(run_folder, monkeypatch: pytest.MonkeyPatch) -> None:
    crops = folder.read(run_folder).crops
    whole, _ = pictures.panels(crops)
    size = sum(len(p.uri) + len(p.error or "") for p in whole[0].pictures)
    monkeypatch.setattr(pictures, "BUDGET", int(2.5 * size))
    assert len(pictures.panels(crops)[0]) == 2


def test_no_crops_no_panels() -> None:
    assert pictures.panels(()) == ((), 8.0)


def test_crops_without_an_original_still_show(tmp_path: Path) -> None:
    Image.new("RGB", (8, 8), (9, 9, 9)).save(tmp_path / "a.png")
    panels, _ = pictures.panels([Crop("a", "typical", (0, 0, 8, 8), {"dense": tmp_path / "a.png"}, {})])
    assert [p.error for p in panels[0].pictures] == [None]
