"""Degradations: right sizes, seeded, and each does what it says."""

import numpy as np
import pytest
import torch

from espalier.data import Patches
from espalier.data.degradations import CLASSIC, NAMED, blur, find, jpeg, noise, resize
from espalier.data.kernels import gaussian
from espalier.errors import ImageError
from tests.training.conftest import make_images


def picture(size: int = 48) -> torch.Tensor:
    y, x = np.mgrid[:size, :size] / 6
    return torch.from_numpy(np.stack([np.sin(x), np.cos(y), np.sin(x + y)]) * 0.4 + 0.5).float()


@pytest.mark.parametrize("name", NAMED)
@pytest.mark.parametrize("scale", [2, 3, 4])
def test_size_range_and_seed(name: str, scale: int) -> None:
    for seed in range(5):
        one, two = (NAMED[name](picture(), scale, np.random.default_rng(seed)) for _ in range(2))
        assert one.shape == (3, 48 // scale, 48 // scale)
        assert one.dtype == torch.float32
        assert 0 <= one.min() <= one.max() <= 1
        assert torch.equal(one, two)


def test_bicubic_is_what_is_packed(tmp_path) -> None:
    images = make_images(tmp_path)
    hr = images.hr(0).float() / 255
    made = find("bicubic")(hr, images.scale, np.random.default_rng())
    assert torch.equal((made * 255).round().byte(), images.lr(0))


def test_second_order_is_worse_than_bicubic_and_varies() -> None:
    clean = NAMED["bicubic"](picture(), 2, np.random.default_rng())
    errors = [
        (NAMED["second-order"](picture(), 2, np.random.default_rng(s)) - clean).abs().mean() for s in range(6)
    ]
    assert min(errors) > 0.005
    assert max(errors) > 1.1 * min(errors)


def test_blur_keeps_constants_and_smooths() -> None:
    kernel = gaussian(9, (2.0, 2.0))
    assert torch.allclose(blur(torch.full((3, 16, 16), 0.3), kernel), torch.tensor(0.3))
    assert blur(torch.rand(3, 16, 16), kernel).std() < 0.1
    assert blur(torch.rand(3, 4, 4), gaussian(21, (2.0, 2.0))).shape == (3, 4, 4)


def test_noise_has_the_asked_strength() -> None:
    grey = torch.full((3, 200, 200), 0.5)
    spreads = [(noise(grey, CLASSIC, np.random.default_rng(s)) - grey).std().item() * 255 for s in range(12)]
    assert min(spreads) > 0.3
    assert max(spreads) < 16


def test_jpeg_is_close_at_high_quality_only() -> None:
    errors = [(jpeg(picture(), quality) - picture()).abs().mean().item() for quality in (95, 10)]
    assert errors[0] < 0.01 < errors[1]


def test_resize_keeps_constants() -> None:
    for mode in ("area", "bilinear", "bicubic"):
        assert torch.allclose(resize(torch.full((3, 9, 9), 0.25), (5, 7), mode), torch.tensor(0.25))


def test_unknown_name() -> None:
    with pytest.raises(ImageError, match="did you mean second-order"):
        find("second_order")


def test_patches_are_degraded_by_number(tmp_path) -> None:
    patches = Patches(make_images(tmp_path), 8, degradation=find("second-order"))
    lr, hr = patches.batch(2, 0, 4)
    assert (lr.shape, hr.shape) == ((4, 3, 8, 8), (4, 3, 16, 16))
    assert torch.equal(lr[2:], patches.batch(2, 2, 2)[0])
