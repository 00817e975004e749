"""Scores during training."""

import pytest
from torch import nn

from espalier.data import PackedImages
from espalier.images.metrics import psnr, ssim
from espalier.training.validation import on_sets, psnr_on


class Nearest(nn.Module):
    """Repeats pixels; has a parameter, as every network."""

    def __init__(self) -> None:
        super().__init__()
        self.unit = nn.Conv2d(1, 1, 1)

    def forward(self, x):
        return nn.functional.interpolate(x, scale_factor=2)


def test_the_papers_measure(images: PackedImages) -> None:
    scores = psnr_on(images)(Nearest())
    pairs = [(Nearest()(images.lr(i)[None] / 255), images.hr(i)[None] / 255) for i in range(3)]
    assert scores["psnr"] == pytest.approx(sum(psnr(a, b, 2) for a, b in pairs) / 3)
    assert scores["ssim"] == pytest.approx(sum(ssim(a, b, 2) for a, b in pairs) / 3)
    assert psnr_on(images, y=False)(Nearest())["psnr"] != scores["psnr"]


def test_several_sets_the_first_decides(images: PackedImages) -> None:
    scores = on_sets({"one": images.take([0]), "two": images.take([1, 2])})(Nearest())
    assert set(scores) == {"psnr", "ssim", "one psnr", "one ssim", "two psnr", "two ssim"}
    assert scores["psnr"] == scores["one psnr"] != scores["two psnr"]
