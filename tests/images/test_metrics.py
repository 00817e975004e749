import math

import numpy as np
import pytest
import torch
from skimage.metrics import peak_signal_noise_ratio, structural_similarity

from espalier.errors import ImageError
from espalier.images.color import rgb_to_y
from espalier.images.folder import pairs
from espalier.images.io import read_image, to_tensor
from espalier.images.metrics import eight_bits, psnr, psnr_of_planes, ssim, ssim_of_planes
from espalier.images.resize import imresize, modcrop


@pytest.fixture
def two_images() -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    truth = torch.rand(1, 3, 40, 50, generator=generator)
    noisy = truth + 0.05 * torch.randn(truth.shape, generator=generator)
    return noisy, truth


def _reference_planes(image: torch.Tensor) -> np.ndarray:
    return rgb_to_y(eight_bits(image * 255).double() / 255)[0, 0].numpy()


@pytest.mark.parametrize("border", [0, 4])
def test_y_measures_equal_skimage(two_images, border):
    a, b = (_reference_planes(image)[border : 40 - border, border : 50 - border] for image in two_images)
    expected = structural_similarity(
        a, b, data_range=255, gaussian_weights=True, sigma=1.5, use_sample_covariance=False
    )
    assert ssim(*two_images, border) == pytest.approx(expected, abs=1e-6)
    assert psnr(*two_images, border) == pytest.approx(peak_signal_noise_ratio(b, a, data_range=255), abs=1e-9)


def test_rgb_measures_equal_skimage(two_images):
    a, b = (eight_bits(image * 255).double()[0].numpy() for image in two_images)
    expected = structural_similarity(
        a, b, data_range=255, gaussian_weights=True, sigma=1.5, use_sample_covariance=False, channel_axis=0
    )
    assert ssim(*two_images, 0, y=False) == pytest.approx(expected, abs=1e-6)
    assert psnr(*two_images, 0, y=False) == pytest.approx(
        peak_signal_noise_ratio(b, a, data_range=255), abs=1e-9
    )


def test_flat_regions_do_not_lose_precision():
    flat = torch.full((1, 1, 20, 20), 235.0)
    flat[..., 10:, :] = 16
    shifted = flat + 1
    a, b = flat[0, 0].double().numpy(), shifted[0, 0].double().numpy()
    expected = structural_similarity(
        a, b, data_range=255, gaussian_weights=True, sigma=1.5, use_sample_covariance=False
    )
    assert ssim_of_planes(flat, shifted, 0) == pytest.approx(expected, abs=1e-9)


def test_known_difference():
    truth = torch.zeros(1, 1, 12, 12)
    assert psnr_of_planes(truth + 1, truth, 0) == pytest.approx(20 * math.log10(255))
    assert psnr_of_planes(truth, truth, 0) == math.inf
    assert ssim_of_planes(truth, truth, 0) == 1


def test_the_image_is_rounded_as_files_are():
    truth = torch.full((1, 3, 16, 16), 100 / 255)
    assert psnr(truth + 0.4 / 255, truth, 0) == math.inf
    assert psnr(torch.full_like(truth, 1.7), torch.ones_like(truth), 0) == math.inf


def test_the_border_is_left_out():
    truth = torch.rand(1, 3, 20, 20)
    spoilt = truth.clone()
    spoilt[..., :2, :] = 0
    spoilt[..., :, -2:] = 0
    assert psnr(spoilt, truth, 2) == math.inf
    assert psnr(spoilt, truth, 1) < 40


def test_bicubic_on_set5_is_the_number_of_the_papers(real_data):
    values = []
    for pair in pairs(real_data / "sets" / "Set5", 4):
        assert pair.lr is not None
        hr = modcrop(read_image(pair.hr).pixels, 4)
        lr = read_image(pair.lr).pixels
        sr, truth = (torch.from_numpy(x).permute(2, 0, 1)[None] / 255 for x in (imresize(lr, 4), hr))
        values.append((psnr(sr, truth, 4), ssim(sr, truth, 4)))
    mean = np.mean(values, 0)
    assert mean[0] == pytest.approx(28.42, abs=0.01)
    assert mean[1] == pytest.approx(0.8104, abs=0.001)  # papers differ in whether Y is rounded


def test_grey_images_measure_alike_in_every_channel(real_data):
    bridge = read_image(real_data / "sets" / "Set14" / "HR" / "bridge.png")
    assert bridge.grey
    truth = to_tensor(bridge)[..., :64, :64]
    noisy = truth + torch.linspace(-0.05, 0.05, 64)
    planes = eight_bits(noisy[:, :1] * 255), eight_bits(truth[:, :1] * 255)
    assert psnr(noisy, truth, 0, y=False) == pytest.approx(psnr_of_planes(*planes, 0), abs=1e-9)


def test_strips_do_not_show(monkeypatch, two_images):
    whole = ssim(*two_images, 2)
    monkeypatch.setattr("espalier.images.metrics._STRIP", 150)
    assert ssim(*two_images, 2) == pytest.approx(whole, abs=1e-13)


def test_what_cannot_be_compared_is_said():
    with pytest.raises(ImageError, match="8x8x1 and 9x8x1"):
        psnr(torch.zeros(1, 3, 8, 8), torch.zeros(1, 3, 8, 9), 0)
    with pytest.raises(ImageError, match="10x10 pixels: with a border of 4 it must have at least 19"):
        ssim(torch.zeros(1, 3, 10, 10), torch.zeros(1, 3, 10, 10), 4)
