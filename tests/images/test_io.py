import sys

import numpy as np
import pytest
import torch
from PIL import Image as pil

from espalier.errors import ImageError, MissingExtraError, OutputError
from espalier.images.io import Image, as_eight_bits, from_tensor, read_image, to_tensor, write_image


def _random(*shape: int, dtype: type = np.uint8) -> np.ndarray:
    return np.random.default_rng(0).integers(0, np.iinfo(dtype).max + 1, shape).astype(dtype)


def _colour(dtype: type = np.uint8, *, alpha: bool = False) -> Image:
    return Image(_random(11, 7, 3, dtype=dtype), _random(11, 7, dtype=dtype) if alpha else None)


def _grey(dtype: type = np.uint8, *, alpha: bool = False) -> Image:
    pixels = _random(11, 7, 1, dtype=dtype).repeat(3, 2)
    return Image(pixels, _random(11, 7, dtype=dtype) if alpha else None, grey=True)


def _assert_same(a: Image, b: Image) -> None:
    assert a.grey == b.grey
    assert a.bits == b.bits
    np.testing.assert_array_equal(a.pixels, b.pixels)
    assert (a.alpha is None) == (b.alpha is None)
    if a.alpha is not None:
        np.testing.assert_array_equal(a.alpha, b.alpha)


@pytest.mark.parametrize(
    ("image", "suffix"),
    [
        (_colour(), ".png"),
        (_colour(), ".bmp"),
        (_colour(), ".webp"),
        (_colour(alpha=True), ".png"),
        (_colour(alpha=True), ".webp"),
        (_grey(), ".png"),
        (_grey(), ".bmp"),
        (_grey(alpha=True), ".png"),
        (_grey(np.uint16), ".png"),
    ],
)
def test_round_trip(tmp_path, image, suffix):
    write_image(tmp_path / f"a{suffix}", image)
    _assert_same(read_image(tmp_path / f"a{suffix}"), image)


@pytest.mark.parametrize("alpha", [False, True])
def test_sixteen_bit_colour_round_trip(tmp_path, alpha):
    pytest.importorskip("cv2")
    image = _colour(np.uint16, alpha=alpha)
    write_image(tmp_path / "a.png", image)
    _assert_same(read_image(tmp_path / "a.png"), image)


def test_sixteen_bit_grey_with_alpha_keeps_every_value(tmp_path):
    pytest.importorskip("cv2")
    image = _grey(np.uint16, alpha=True)
    write_image(tmp_path / "a.png", image)
    again = read_image(tmp_path / "a.png")
    np.testing.assert_array_equal(again.pixels, image.pixels)
    np.testing.assert_array_equal(again.alpha, image.alpha)


def test_sixteen_bit_colour_without_opencv_names_the_extra(tmp_path, monkeypatch):
    head = b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR\x00\x00\x00\x01\x00\x00\x00\x01\x10\x02\x00\x00\x00"
    pil.new("RGB", (1, 1)).save(tmp_path / "a.png")
    whole = (tmp_path / "a.png").read_bytes()
    (tmp_path / "a.png").write_bytes(head + _crc(head[12:]) + whole[33:])
    monkeypatch.setitem(sys.modules, "cv2", None)
    with pytest.raises(MissingExtraError, match=r"espalier\[image16\]"):
        read_image(tmp_path / "a.png")
    with pytest.raises(MissingExtraError, match="16-bit PNG"):
        write_image(tmp_path / "b.png", _colour(np.uint16))
    assert not (tmp_path / "b.png").exists()


def _crc(data: bytes) -> bytes:
    import zlib

    return zlib.crc32(data).to_bytes(4, "big")


def test_jpeg_is_close(tmp_path):
    ramp = np.linspace(0, 255, 32).astype(np.uint8)
    image = Image(np.ascontiguousarray(np.broadcast_to(ramp[:, None, None], (32, 32, 3))))
    write_image(tmp_path / "a.JPG", image)
    again = read_image(tmp_path / "a.JPG")
    assert np.abs(again.pixels.astype(int) - image.pixels).max() <= 4


def test_grey_and_cmyk_jpeg(tmp_path):
    pil.new("L", (8, 8), 100).save(tmp_path / "grey.jpg")
    pil.new("CMYK", (8, 8), (0, 0, 0, 0)).save(tmp_path / "cmyk.jpg")
    assert read_image(tmp_path / "grey.jpg").grey
    cmyk = read_image(tmp_path / "cmyk.jpg")
    assert not cmyk.grey
    assert (cmyk.pixels > 250).all()


def test_palette_with_and_without_transparency(tmp_path):
    file = pil.new("P", (2, 1))
    file.putpalette([10, 20, 30, 200, 100, 50])
    file.putdata([0, 1])
    file.save(tmp_path / "plain.png")
    file.save(tmp_path / "clear.png", transparency=1)
    np.testing.assert_array_equal(read_image(tmp_path / "plain.png").pixels, [[[10, 20, 30], [200, 100, 50]]])
    clear = read_image(tmp_path / "clear.png")
    np.testing.assert_array_equal(clear.pixels, [[[10, 20, 30], [200, 100, 50]]])
    np.testing.assert_array_equal(clear.alpha, [[255, 0]])


def test_one_bit_images_become_grey(tmp_path):
    pil.fromarray(np.array([[True, False]])).save(tmp_path / "a.png")
    image = read_image(tmp_path / "a.png")
    assert image.grey
    np.testing.assert_array_equal(image.pixels[..., 0], [[255, 0]])


@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_orientation_equals_pillow(tmp_path, orientation):
    from PIL import ImageOps

    exif = pil.Exif()
    exif[0x0112] = orientation
    pil.fromarray(_random(5, 8, 3)).save(tmp_path / "a.png", exif=exif)
    with pil.open(tmp_path / "a.png") as file:
        expected = np.asarray(ImageOps.exif_transpose(file))
    np.testing.assert_array_equal(read_image(tmp_path / "a.png").pixels, expected)


def test_tensor_round_trip_keeps_everything():
    for image in (_colour(), _grey(), _colour(np.uint16, alpha=True), _grey(np.uint16)):
        tensor = to_tensor(image)
        assert tensor.shape == (1, 3, 11, 7)
        assert tensor.dtype == torch.float32
        assert 0 <= tensor.min() <= tensor.max() <= 1
        _assert_same(from_tensor(tensor, like=image), image)


def test_sixteen_bits_become_eight():
    image = Image(
        np.array([[[0, 128, 129], [257, 65535, 65406]]], np.uint16), np.array([[0, 65535]], np.uint16)
    )
    eight = as_eight_bits(image)
    np.testing.assert_array_equal(eight.pixels, [[[0, 0, 1], [1, 255, 254]]])
    np.testing.assert_array_equal(eight.alpha, [[0, 255]])
    assert as_eight_bits(eight) is eight


def test_enlarged_tensor_takes_alpha_and_grey_along():
    like = _grey(alpha=True)
    result = from_tensor(torch.rand(1, 3, 22, 14), like=like)
    assert result.alpha is not None
    assert result.alpha.shape == (22, 14)
    assert (result.pixels[..., 0] == result.pixels[..., 2]).all()


def test_values_out_of_range_are_clipped():
    tensor = torch.tensor([-1.0, 0.5, 2.0]).view(1, 3, 1, 1)
    np.testing.assert_array_equal(from_tensor(tensor).pixels, [[[0, 128, 255]]])


@pytest.mark.parametrize("suffix", ["png", "jpg", "webp", "bmp"])
def test_truncated_files_are_named(tmp_path, suffix):
    path = tmp_path / f"broken.{suffix}"
    write_image(path, Image(_random(64, 64, 3)))
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(ImageError, match=f"broken.{suffix}"):
        read_image(path)


@pytest.mark.parametrize("content", [b"", b"not an image", b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff\xe0"])
def test_foreign_files_are_named(tmp_path, content):
    (tmp_path / "a.png").write_bytes(content)
    with pytest.raises(ImageError, match=r"a\.png: not a whole"):
        read_image(tmp_path / "a.png")


def test_missing_file_and_folder(tmp_path):
    with pytest.raises(ImageError, match="no such file"):
        read_image(tmp_path / "none.png")
    with pytest.raises(ImageError, match="no such file"):
        read_image(tmp_path)


@pytest.mark.parametrize(
    ("name", "image", "message"),
    [
        ("a.tga", _colour(), "suffix"),
        ("a.jpg", _grey(np.uint16), "16; use .png"),
        ("a.jpg", _colour(alpha=True), "transparency"),
    ],
)
def test_formats_that_cannot_hold_the_image(tmp_path, name, image, message):
    with pytest.raises(ImageError, match=message):
        write_image(tmp_path / name, image)
    assert not list(tmp_path.iterdir())


def test_unwritable_place(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match="cannot write"):
        write_image(tmp_path / "file" / "a.png", _colour())
