"""Blur kernels."""

import math

import numpy as np
import pytest
from scipy.special import j1

from espalier.data.kernels import bessel_j1, gaussian, random_kernel, sinc


def test_bessel() -> None:
    x = np.linspace(0, 50, 300)
    assert np.abs(bessel_j1(x) - j1(x)).max() < 1e-12


def test_a_round_gaussian_has_its_variance() -> None:
    kernel = gaussian(21, (1.5, 1.5))
    offsets = np.arange(21) - 10
    assert (kernel.sum(0) * offsets**2).sum() == pytest.approx(1.5**2, rel=1e-3)
    assert np.allclose(kernel, kernel.T)


def test_a_turned_gaussian_swaps_its_axes() -> None:
    assert np.allclose(gaussian(15, (1.0, 3.0)), gaussian(15, (3.0, 1.0), math.pi / 2))


@pytest.mark.parametrize("form", ["generalised", "plateau"])
def test_forms_differ_but_keep_the_mean(form) -> None:
    kernel = gaussian(15, (2.0, 2.0), 0.0, form, 1.7)
    assert kernel.sum() == pytest.approx(1)
    assert not np.allclose(kernel, gaussian(15, (2.0, 2.0)))


def test_sinc_passes_low_and_stops_high_frequencies() -> None:
    response = np.abs(np.fft.fft2(sinc(61, math.pi / 2)))
    assert response[0, 0] == pytest.approx(1)
    assert response[0, 8] == pytest.approx(1, abs=0.1)  # 2 pi 8 / 61 is below the cut-off
    assert response[0, 25] < 0.1


def test_random_kernels_are_normalised_and_seeded() -> None:
    kernels = [random_kernel(np.random.default_rng(seed), (0.2, 3.0), 0.3) for seed in range(40)]
    assert all(kernel.sum() == pytest.approx(1) for kernel in kernels)
    assert {len(kernel) for kernel in kernels} <= set(range(7, 22, 2))
    assert len({len(kernel) for kernel in kernels}) > 4
    assert np.array_equal(kernels[3], random_kernel(np.random.default_rng(3), (0.2, 3.0), 0.3))
