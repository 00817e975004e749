from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image as pil

from espalier.errors import EspalierError, ImageError, NetworkError
from espalier.images.io import Image, read_image, to_tensor, write_image
from espalier.images.resize import imresize
from espalier.recipes import enlarger, upscale
from espalier.recipes.enlarger import Enlarger, of_network, with_tile
from espalier.recipes.upscale import SkippedFileWarning
from tests.evaluation.networks import Bicubic, Convolutions, network
from tests.recipes.conftest import TINY


def convolutions(tile: int | None = None, **body: int) -> Enlarger:
    found = of_network(network(Convolutions(**body)))
    return with_tile(found, tile) if tile else found


def noise(height: int, width: int, dtype: type = np.uint8) -> np.ndarray:
    top = np.iinfo(dtype).max
    return np.random.default_rng(0).integers(0, top, (height, width, 3), dtype=dtype, endpoint=True)


def test_folders_and_files_are_enlarged_under_their_names(photos: Path, tmp_path: Path, capsys) -> None:
    single = photos.rename(tmp_path / "folder") / "photo3.png"
    other = single.rename(tmp_path / "single.jpg")
    write_image(other, Image(noise(10, 12)))
    upscale.command(TINY, [tmp_path / "folder", other], out=tmp_path / "out")
    assert sorted(f.name for f in (tmp_path / "out").iterdir()) == [
        "photo0.png",
        "photo1.png",
        "photo2.png",
        "single.jpg",
    ]
    assert read_image(tmp_path / "out" / "photo1.png").size == (144, 176)
    assert "4 of 4 images" in capsys.readouterr().err


def test_the_result_is_what_the_network_gives() -> None:
    pixels = noise(20, 24)
    net = network(Convolutions())
    out = upscale.enlarge_image(of_network(net), Image(pixels))
    with torch.no_grad():
        expected = net(to_tensor(Image(pixels))).clamp(0, 1).mul(255).round()
    assert np.array_equal(out.pixels, expected[0].permute(1, 2, 0).numpy())


def test_tiles_leave_no_seams() -> None:
    image = Image(noise(90, 100, np.uint16))
    whole, tiles = (upscale.enlarge_image(convolutions(tile), image).pixels for tile in (None, 32))
    difference = np.abs(whole.astype(int) - tiles.astype(int)).max()
    assert difference <= 65535 * 1e-4


def seams(weights: Path, **changed: int) -> float:
    """Largest difference between parts and the whole, as a share of the range; 16 bits, so that 1e-4 can be seen."""
    photograph = read_image(weights.parents[2] / "sets" / "Set5" / "HR" / "bird.png").pixels[100:180, 60:156]
    image = Image(photograph.astype(np.uint16) * 257)
    found = enlarger.open_enlarger(str(weights))
    whole = upscale.enlarge_image(with_tile(found, 96), image)
    parts = upscale.enlarge_image(replace(with_tile(found, 32), **changed), image)
    return np.abs(whole.pixels.astype(int) - parts.pixels.astype(int)).max() / 65535


@pytest.mark.parametrize("weights", ["RNet-EDSRlike/rnet_x4.pth", "FSRCNN/fsrcnn_x4.pth"])
def test_published_networks_leave_no_seams(weights: str, real_data: Path) -> None:
    assert seams(real_data / "weights" / weights) <= 1e-4


def test_without_overlap_there_would_be_seams(real_data: Path) -> None:
    assert seams(real_data / "weights" / "FSRCNN" / "fsrcnn_x4.pth", overlap=0) > 1e-2


def test_sixteen_bits_stay_sixteen() -> None:
    image = Image(noise(16, 16, np.uint16))
    out = upscale.enlarge_image(of_network(network(Bicubic())), image)
    assert out.bits == 16
    truth = imresize(image.pixels.astype(np.float64), 2).clip(0, 65535)
    assert np.abs(out.pixels - truth).max() < 1


def test_alpha_is_enlarged_bicubically_and_grey_stays_grey(tmp_path: Path) -> None:
    alpha = noise(12, 14)[..., 0]
    grey = noise(12, 14)[..., :1].repeat(3, 2)
    write_image(tmp_path / "a.png", Image(grey, alpha, grey=True))
    upscale.command(TINY, [tmp_path / "a.png"], out=tmp_path / "out")
    out = read_image(tmp_path / "out" / "a.png")
    assert out.grey
    assert out.alpha is not None
    assert np.array_equal(out.alpha, imresize(alpha, 2))


def test_existing_results_are_left_alone(photos: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    out.mkdir()
    (out / "photo1.png").write_bytes(b"mine")
    with pytest.warns(SkippedFileWarning, match=r"photo1\.png.*--overwrite"):
        upscale.command(TINY, [photos], out=out)
    assert (out / "photo1.png").read_bytes() == b"mine"
    upscale.command(TINY, [photos], out=out, overwrite=True)
    assert read_image(out / "photo1.png").size == (144, 176)


def test_an_image_never_replaces_itself(photos: Path) -> None:
    before = (photos / "photo0.png").read_bytes()
    with pytest.warns(SkippedFileWarning, match="itself"), pytest.raises(ImageError, match="none of the 4"):
        upscale.command(TINY, [photos], out=photos, overwrite=True)
    assert (photos / "photo0.png").read_bytes() == before


def test_two_inputs_of_one_name_do_not_replace_each_other(photos: Path, tmp_path: Path) -> None:
    with pytest.warns(SkippedFileWarning, match="another input"):
        upscale.command(
            TINY, [photos / "photo0.png", photos / "photo0.png"], out=tmp_path / "out", overwrite=True
        )


def test_a_damaged_file_is_named_and_the_others_are_written(photos: Path, tmp_path: Path) -> None:
    (photos / "broken.png").write_bytes(b"no image")
    with pytest.warns(SkippedFileWarning, match=r"broken\.png"):
        upscale.command(TINY, [photos], out=tmp_path / "out", suffix="webp")
    assert {f.suffix for f in (tmp_path / "out").iterdir()} == {".webp"}
    assert len(list((tmp_path / "out").iterdir())) == 4


@pytest.mark.parametrize("size", [(6, 7), (3, 16), (16, 16)])
def test_parts_smaller_than_a_file_takes_are_filled(size: tuple[int, int]) -> None:
    x = torch.rand(1, 3, *size)

    def only_sixteen(part: torch.Tensor) -> torch.Tensor:
        assert part.shape == (1, 3, 16, 16)
        return part.repeat_interleave(2, 2).repeat_interleave(2, 3)

    out = enlarger._filled(only_sixteen, x, (16, 16), 2)
    assert torch.equal(out[..., ::2, ::2], x)
    with pytest.raises(NetworkError, match="only 2x2 pixels"):
        enlarger._filled(only_sixteen, x, (2, 2), 2)


def test_numbers_that_are_not_finite_are_an_error() -> None:
    net = of_network(network(Bicubic(offset=float("nan"))))
    with pytest.raises(NetworkError, match="finite"):
        upscale.enlarge_image(net, Image(noise(8, 8)))


@pytest.mark.parametrize(
    ("name", "options", "expected"),
    [
        ("nowhere", {}, "no file or folder"),
        ("words.txt", {}, "no image"),
        ("a.png", {"suffix": "gif"}, "--suffix"),
        ("a.png", {"tile": 4}, "--tile"),
    ],
)
def test_mistakes_are_told(tmp_path: Path, name: str, options: dict, expected: str) -> None:
    (tmp_path / "words.txt").write_text("words")
    pil.fromarray(noise(8, 8)).save(tmp_path / "a.png")
    with pytest.raises(EspalierError, match=expected):
        upscale.command(TINY, [tmp_path / name], out=tmp_path / "out", **options)


@pytest.mark.slow
def test_a_photograph_stays_within_two_gib(tmp_path: Path) -> None:
    import subprocess
    import sys

    rows = np.linspace(0, 255, 3000, dtype=np.uint8)[:, None, None]
    pil.fromarray(np.broadcast_to(rows, (3000, 4000, 3)).copy()).save(tmp_path / "photo.png")
    code = (
        "import resource, torch; from pathlib import Path; from espalier.recipes import upscale;"
        "torch.set_num_threads(1);"
        f"upscale.command('edsr(scale=2, blocks=1, channels=16)', [Path({str(tmp_path / 'photo.png')!r})],"
        f" out=Path({str(tmp_path / 'out')!r}));"
        "print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert int(done.stdout) * 1024 < 2 << 30
