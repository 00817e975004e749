from pathlib import Path

from PIL import Image

from espalier.recipes.compress import CompressSettings, compress
from espalier.recipes.montage import write_montage
from espalier.report import folder
from tests.recipes.conftest import TINY


def test_the_sheet_has_a_column_per_version(photos: Path, tmp_path: Path) -> None:
    wanted = CompressSettings(recover=0, timing=False, device="cpu")
    run = folder.read(compress(TINY, photos, tmp_path / "run", wanted))
    path = write_montage(run, tmp_path / "sheet.png", most=1)
    left, top, right, bottom = run.crops[0].box
    with Image.open(path) as sheet:
        assert sheet.width == 4 * (right - left) * 2 + 3 * 8
        assert sheet.height == (bottom - top) * 2 + 30 + 24
        with Image.open(run.crops[0].files["dense"]) as dense:
            assert sheet.getpixel(((right - left) * 2 + 8, 30)) == dense.getpixel((0, 0))
