import json
import math
from pathlib import Path

import numpy as np
import pytest
import torch

from espalier.errors import ImageError, NetworkError
from espalier.evaluation import compare, evaluate
from espalier.evaluation.upscale import bicubic, by_network
from espalier.images.folder import SkippedImageWarning
from espalier.images.io import Image, read_image, to_tensor, write_image
from espalier.images.metrics import psnr, ssim
from espalier.images.resize import imresize, modcrop
from tests.evaluation.networks import Bicubic, Convolutions, network


@pytest.fixture
def photographs(tmp_path) -> Path:
    """Three textured images of odd sizes: RGB, grey, and 16-bit grey."""
    rows, columns = np.mgrid[0:37, 0:46]
    waves = [127 + 100 * np.sin(rows / (k + 3) + columns / (7 - k)) for k in range(3)]
    texture = np.random.default_rng(0).normal(0, 8, (37, 46, 3))
    colour = (np.stack(waves, 2) + texture).clip(0, 255).astype(np.uint8)
    grey = colour[..., :1].repeat(3, 2)
    folder = tmp_path / "photographs"
    write_image(folder / "colour.png", Image(colour))
    write_image(folder / "grey.png", Image(grey, grey=True))
    write_image(folder / "grey16.png", Image(grey.astype(np.uint16) * 257, grey=True))
    return folder


def _pairs(photographs: Path, root: Path, scale: int) -> Path:
    for path in photographs.iterdir():
        image = read_image(path)
        write_image(root / "HR" / path.name, image)
        low = imresize(modcrop(image.pixels, scale), 1 / scale)
        write_image(root / f"LR_bicubic/X{scale}" / f"{path.stem}x{scale}.png", Image(low, grey=image.grey))
    return root


@pytest.mark.parametrize("y", [True, False])
def test_equals_the_definition(photographs, y):
    net = network(Bicubic())
    result = evaluate(net, photographs, y=y)
    hr = modcrop(read_image(photographs / "colour.png").pixels, 2)
    lr, truth = (to_tensor(Image(pixels)) for pixels in (imresize(hr, 0.5), hr))
    with torch.no_grad():
        out = net.eval()(lr)
    assert [image.name for image in result.images] == ["colour", "grey", "grey16"]
    assert result.images[0].psnr == pytest.approx(psnr(out, truth, 2, y), abs=1e-9)
    assert result.images[0].ssim == pytest.approx(ssim(out, truth, 2, y), abs=1e-9)
    assert result.psnr == pytest.approx(sum(image.psnr for image in result.images) / 3)
    assert result.ssim == pytest.approx(sum(image.ssim for image in result.images) / 3)


def test_sixteen_bits_are_measured_as_eight(photographs):
    _, grey, grey16 = evaluate(network(Bicubic()), photographs).images
    assert (grey.psnr, grey.ssim) == (grey16.psnr, grey16.ssim)


def test_pairs_equal_images_made_here(photographs, tmp_path):
    net = network(Bicubic(3), 3)
    (photographs / "grey16.png").unlink()  # 16-bit low resolution would be rounded at another place
    paired = evaluate(net, _pairs(photographs, tmp_path / "set", 3))
    assert paired == evaluate(net, photographs)
    explicit = evaluate(net, tmp_path / "set" / "HR", lr=tmp_path / "set" / "LR_bicubic" / "X3")
    assert explicit == paired


def test_bicubic_is_a_row_like_any_other(photographs):
    nets = {
        "bicubic": bicubic(2),
        "net": by_network(network(Bicubic())),
        "off": by_network(network(Bicubic(2, 0.05))),
    }
    rows = compare(nets, photographs, 2)
    assert rows["net"].psnr == pytest.approx(rows["bicubic"].psnr, abs=0.2)
    assert rows["off"].psnr < rows["net"].psnr - 3
    assert [row.network for row in rows.values()] == ["bicubic", "net", "off"]


def test_a_luma_network_is_measured_on_its_own_y(photographs):
    net = network(Bicubic(), luma=True)
    luma, rgb = evaluate(net, photographs), evaluate(network(Bicubic()), photographs)
    assert luma.psnr == pytest.approx(rgb.psnr, abs=0.3)
    assert luma.psnr != rgb.psnr
    assert evaluate(net, photographs, y=False).psnr == pytest.approx(
        evaluate(network(Bicubic()), photographs, y=False).psnr, abs=0.1
    )


def test_a_network_fed_an_enlargement_gets_it_in_bytes(photographs):
    class Same(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.weight = torch.nn.Parameter(torch.ones(()))

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return x * self.weight

    rows = compare({"bicubic": bicubic(2)}, photographs, 2)
    for luma in (True, False):
        result = evaluate(network(Same(), luma=luma, enlarged=True), photographs)
        assert result.psnr == pytest.approx(rows["bicubic"].psnr, abs=1e-4)
        assert result.scale == 2


def test_tiles_and_ensemble_leave_bicubic_alone(photographs):
    net = network(Bicubic())
    whole = evaluate(net, photographs)
    assert evaluate(net, photographs, tile=8).psnr == pytest.approx(whole.psnr, abs=1e-3)
    assert evaluate(net, photographs, self_ensemble=True).psnr == pytest.approx(whole.psnr, abs=1e-3)


def test_the_ensemble_changes_a_network_that_is_not_symmetric(photographs):
    net = network(Convolutions())
    assert evaluate(net, photographs, self_ensemble=True).psnr != evaluate(net, photographs).psnr


def test_the_network_keeps_its_mode(photographs):
    net = network(Bicubic())
    net.train()
    evaluate(net, photographs)
    assert net.training
    assert net.body.training


def test_json(photographs):
    seen = []
    result = evaluate(network(Bicubic()), photographs, progress=lambda *step: seen.append(step))
    again = json.loads(json.dumps(result.to_dict(), allow_nan=False))
    assert set(again) >= {"network", "scale", "images", "mean"}
    assert again["mean"] == {"psnr": result.psnr, "ssim": result.ssim}
    first = result.images[0]
    assert again["images"][0] == {"name": "colour", "psnr": first.psnr, "ssim": first.ssim}
    assert seen == [(1, 3, "colour"), (2, 3, "grey"), (3, 3, "grey16")]


def test_equal_images_are_infinitely_good(tmp_path):
    write_image(tmp_path / "flat.png", Image(np.full((30, 30, 3), 90, np.uint8)))
    result = evaluate(network(Bicubic()), tmp_path)
    assert result.psnr == math.inf
    assert result.to_dict()["mean"]["psnr"] is None


def test_a_damaged_image_is_left_out_and_named(photographs):
    (photographs / "broken.png").write_bytes((photographs / "colour.png").read_bytes()[:200])
    with pytest.warns(SkippedImageWarning, match=r"broken\.png"):
        result = evaluate(network(Bicubic()), photographs)
    assert result.skipped == ("broken",)
    assert result.to_dict()["skipped"] == ["broken"]
    assert len(result.images) == 3


def test_nothing_left_is_an_error(tmp_path):
    (tmp_path / "broken.png").write_bytes(b"")
    with pytest.warns(SkippedImageWarning), pytest.raises(ImageError, match="none of the 1 images"):
        evaluate(network(Bicubic()), tmp_path)


def test_a_scale_that_does_not_fit(photographs, tmp_path):
    with pytest.raises(NetworkError, match="enlarges x2, asked for x4"):
        evaluate(network(Bicubic()), photographs, scale=4)
    folder = _pairs(photographs, tmp_path / "set", 3)
    with pytest.raises(ImageError, match=r"colourx3\.png is named for another scale"):
        evaluate(network(Bicubic()), folder / "HR", lr=folder / "LR_bicubic" / "X3")
    (folder / "LR_bicubic").rename(folder / "LR")
    (folder / "LR" / "X3").rename(folder / "LR" / "X2")
    for path in (folder / "LR" / "X2").iterdir():
        path.rename(path.with_stem(path.stem.removesuffix("x3")))
    with pytest.raises(ImageError, match=r"46x37 pixels and .* has 15x12: not x2 apart"):
        evaluate(network(Bicubic()), folder)


def test_images_that_are_too_small(tmp_path):
    write_image(tmp_path / "dot.png", Image(np.zeros((1, 9, 3), np.uint8)))
    with pytest.raises(ImageError, match=r"dot\.png has 9x1 pixels: too small"):
        evaluate(network(Bicubic()), tmp_path)
    write_image(tmp_path / "dot.png", Image(np.zeros((12, 12, 3), np.uint8)))
    with pytest.raises(ImageError, match="dot: cannot measure an image of 12x12"):
        evaluate(network(Bicubic()), tmp_path)


def test_nan_is_an_error_not_a_number(photographs):
    with pytest.raises(NetworkError, match="colour: the network gave numbers that are not finite"):
        evaluate(network(Bicubic(2, math.nan)), photographs)
