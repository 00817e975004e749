"""Packed images: found again by content, rebuilt when it changes, bad files named."""

import warnings
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from espalier.data import pack
from espalier.errors import ImageError
from espalier.images.folder import SkippedImageWarning
from espalier.images.resize import imresize, modcrop


def save(path: Path, height: int, width: int, seed: int = 0, mode: str = "RGB") -> np.ndarray:
    shape = (height, width) if mode == "L" else (height, width, 3)
    pixels = np.random.default_rng(seed).integers(0, 256, shape, np.uint8)
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path)
    return pixels


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for index, size in enumerate([(20, 24), (31, 17), (16, 16)]):
        save(tmp_path / "images" / f"{index}.png", *size, seed=index)
    return tmp_path / "images"


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    return tmp_path / "cache"


def pixels(images, index: int) -> np.ndarray:
    return images.hr(index).permute(1, 2, 0).numpy()


def test_hr_is_the_file_and_lr_is_matlabs(folder: Path, cache: Path) -> None:
    images = pack(folder, 3, cache=cache)
    assert images.names == ("0", "1", "2")
    for index in range(3):
        original = modcrop(np.asarray(Image.open(folder / f"{index}.png")), 3)
        assert np.array_equal(pixels(images, index), original)
        assert np.array_equal(images.lr(index).permute(1, 2, 0).numpy(), imresize(original, 1 / 3))


def test_a_second_time_nothing_is_decoded(folder: Path, cache: Path) -> None:
    seen: list[int] = []
    first = pack(folder, 2, cache=cache, progress=lambda done, _all: seen.append(done))
    again = pack(folder, 2, cache=cache, progress=lambda done, _all: seen.append(done))
    assert seen == [1, 2, 3]
    assert again.file == first.file
    assert np.array_equal(pixels(again, 1), pixels(first, 1))


def test_changed_content_is_noticed(folder: Path, cache: Path) -> None:
    before = pack(folder, 2, cache=cache)
    new = save(folder / "1.png", 31, 17, seed=9)
    after = pack(folder, 2, cache=cache)
    assert after.file != before.file
    assert np.array_equal(pixels(after, 1), new[:30, :16])


def test_a_damaged_cache_is_built_again(folder: Path, cache: Path) -> None:
    file = pack(folder, 2, cache=cache).file
    assert file is not None
    file.write_bytes(file.read_bytes()[:-100])
    assert len(pack(folder, 2, cache=cache)) == 3


def test_an_unreadable_file_is_named_and_skipped(folder: Path, cache: Path) -> None:
    (folder / "broken.png").write_bytes(b"not a picture")
    with pytest.warns(SkippedImageWarning, match=r"broken\.png"):
        images = pack(folder, 2, cache=cache)
    assert images.names == ("0", "1", "2")
    with pytest.warns(SkippedImageWarning):  # said again when the cache is used
        pack(folder, 2, cache=cache)


def test_nothing_readable_is_an_error(tmp_path: Path, cache: Path) -> None:
    (tmp_path / "only.png").write_bytes(b"nothing")
    with pytest.raises(ImageError, match=r"none of 1 images"):
        pack(tmp_path, 2, cache=cache)
    assert not list(cache.glob("*.pixels"))


def test_a_missing_folder_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(ImageError, match="nowhere"):
        pack(tmp_path / "nowhere", 2)


def test_grey_and_tiny_images(tmp_path: Path, cache: Path) -> None:
    grey = save(tmp_path / "grey.png", 8, 8, mode="L")
    save(tmp_path / "tiny.png", 1, 9)
    with pytest.warns(SkippedImageWarning, match=r"tiny\.png"):
        images = pack(tmp_path, 2, cache=cache)
    assert np.array_equal(pixels(images, 0), np.repeat(grey[..., None], 3, 2))


def test_16_bits_are_rounded_to_8(tmp_path: Path, cache: Path) -> None:
    Image.fromarray(np.full((4, 4), 257 * 99 + 100, np.uint16)).save(tmp_path / "deep.png")
    assert (pixels(pack(tmp_path, 2, cache=cache), 0) == 99).all()


def test_given_lr_images_are_used(tmp_path: Path, cache: Path) -> None:
    save(tmp_path / "HR" / "a.png", 16, 16)
    low = save(tmp_path / "LR_bicubic" / "X2" / "ax2.png", 8, 8, seed=5)
    images = pack(tmp_path, 2, cache=cache)
    assert np.array_equal(images.lr(0).permute(1, 2, 0).numpy(), low)


def test_lr_of_another_scale_is_skipped(tmp_path: Path, cache: Path) -> None:
    save(tmp_path / "HR" / "a.png", 16, 16)
    save(tmp_path / "LR_bicubic" / "X2" / "ax2.png", 4, 4)
    with pytest.raises(ImageError, match="is not 1/2 of"):
        pack(tmp_path, 2, cache=cache)


def test_several_folders_are_one_set(folder: Path, tmp_path: Path, cache: Path) -> None:
    save(tmp_path / "more" / "z.png", 8, 8)
    assert pack([folder, tmp_path / "more"], 2, cache=cache).names == ("0", "1", "2", "z")


def test_hold_out_parts_the_images(folder: Path, cache: Path) -> None:
    images = pack(folder, 2, cache=cache)
    rest, held = images.hold_out(1)
    assert held.names == ("1",)
    assert rest.names == ("0", "2")
    assert np.array_equal(pixels(rest, 1), pixels(images, 2))
    with pytest.raises(ImageError, match="hold out 3 of 3"):
        images.hold_out(3)


def test_the_cache_folder_follows_the_environment(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ESPALIER_CACHE", str(tmp_path / "elsewhere"))
    file = pack(folder, 2).file
    assert file is not None
    assert file.parent == tmp_path / "elsewhere"


def test_all_of_t91(real_data: Path, cache: Path) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        images = pack(real_data / "sets" / "T91", 4, cache=cache)
    assert len(images) == 91
    assert (images.places[:, 1] == 4 * images.places[:, 4]).all()
