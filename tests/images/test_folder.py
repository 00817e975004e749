from pathlib import Path

import pytest
from PIL import Image as pil

from espalier.errors import ImageError
from espalier.images.folder import SkippedImageWarning, list_images, pairs, read_or_skip


def _lay(root: Path, *names: str) -> Path:
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        pil.new("RGB", (4, 4)).save(root / name)
    return root


def _relative(root: Path, scale: int, lr: Path | None = None) -> list[tuple[str, str, str | None]]:
    found = pairs(root, scale, lr)
    return [
        (p.name, str(p.hr.relative_to(root)), str(p.lr.relative_to(root)) if p.lr else None) for p in found
    ]


def test_images_are_listed_by_name(tmp_path):
    _lay(tmp_path, "b.png", "a.JPG", "c.webp", ".hidden.png", "deeper/d.png")
    (tmp_path / "notes.txt").write_text("no image")
    (tmp_path / "folder.png").mkdir()
    assert [path.name for path in list_images(tmp_path)] == ["a.JPG", "b.png", "c.webp"]
    assert list_images(tmp_path / "b.png") == [tmp_path / "b.png"]


def test_empty_and_missing_folders(tmp_path):
    with pytest.raises(ImageError, match="no images in"):
        list_images(tmp_path)
    with pytest.raises(ImageError, match="no such folder"):
        list_images(tmp_path / "none")
    with pytest.raises(ImageError, match="HR, GT"):
        pairs(tmp_path, 2)


def test_a_folder_of_images_has_no_partners(tmp_path):
    assert _relative(_lay(tmp_path, "a.png"), 2) == [("a", "a.png", None)]


@pytest.mark.parametrize(
    ("hr", "lr"),
    [
        ("HR/a.png", "LR_bicubic/X4/ax4.png"),
        ("GT/a.png", "LQ/a.png"),
        ("hr/a.png", "lr/X4/a.png"),
        ("HR/a.png", "LRx4/a_x4.png"),
        ("GTmod12/a.png", "LRbicx4/a.png"),
        ("DIV2K_train_HR/0001.png", "DIV2K_train_LR_bicubic/X4/0001x4.png"),
        ("original/a.png", "LR_bicubic_X4/a.png"),
    ],
)
def test_layouts(tmp_path, hr, lr):
    _lay(tmp_path, hr, lr)
    assert _relative(tmp_path, 4) == [(Path(hr).stem, hr, lr)]


def test_the_right_scale_and_set_are_chosen(tmp_path):
    high = ("DIV2K_train_HR/1.png", "DIV2K_valid_HR/2.png")
    low = tuple(
        f"DIV2K_{s}_LR_bicubic/X{x}/{n}x{x}.png" for s, n in (("train", 1), ("valid", 2)) for x in (2, 4)
    )
    _lay(tmp_path, *high, *low)
    assert _relative(tmp_path, 4) == [("1", high[0], "DIV2K_train_LR_bicubic/X4/1x4.png")]


def test_another_scale_is_made_not_taken(tmp_path):
    _lay(tmp_path, "HR/a.png", "LR_bicubic/X4/ax4.png", "LR_bicubic/X12/ax12.png")
    assert _relative(tmp_path, 2) == [("a", "HR/a.png", None)]


def test_a_name_that_ends_like_a_scale(tmp_path):
    _lay(tmp_path, "HR/boxx4.png", "LR_bicubic/X4/boxx4x4.png", "HR/mx4.png", "LR_bicubic/X4/mx4x4.png")
    assert [row[2] for row in _relative(tmp_path, 4)] == [
        "LR_bicubic/X4/boxx4x4.png",
        "LR_bicubic/X4/mx4x4.png",
    ]


def test_given_folder_wins(tmp_path):
    _lay(tmp_path, "HR/a.png", "LR_bicubic/X4/ax4.png", "mine/a.png")
    assert _relative(tmp_path, 4, tmp_path / "mine") == [("a", "HR/a.png", "mine/a.png")]


def test_side_by_side(tmp_path):
    _lay(tmp_path, "img_001_SRF_4_HR.png", "img_001_SRF_4_LR.png", "img_001_SRF_2_HR.png")
    expected = [("img_001_SRF_4_HR", "img_001_SRF_4_HR.png", "img_001_SRF_4_LR.png")]
    assert _relative(tmp_path, 4) == expected
    assert _relative(tmp_path, 2) == [("img_001_SRF_2_HR", "img_001_SRF_2_HR.png", None)]
    with pytest.raises(ImageError, match="scale 3"):
        pairs(tmp_path, 3)


def test_a_missing_partner_is_named(tmp_path):
    _lay(tmp_path, "HR/a.png", "HR/b.png", "LR/a.png")
    with pytest.raises(ImageError, match=r"1 of 2 images .* b\.png"):
        pairs(tmp_path, 4)


def test_a_damaged_image_is_skipped_by_name(tmp_path):
    _lay(tmp_path, "good.png")
    (tmp_path / "bad.png").write_bytes(b"nothing")
    assert read_or_skip(tmp_path / "good.png") is not None
    with pytest.warns(SkippedImageWarning, match=r"skipped: .*bad\.png"):
        assert read_or_skip(tmp_path / "bad.png") is None


def test_real_layouts(real_data):
    assert [p.lr.name for p in pairs(real_data / "sets" / "Set5", 3) if p.lr][:2] == [
        "babyx3.png",
        "birdx3.png",
    ]
    assert len(pairs(real_data / "sets" / "BSD100", 2)) == 100
