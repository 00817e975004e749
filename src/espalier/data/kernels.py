"""Blur kernels: Gaussians of several forms, and the sinc that rings (Wang et al. 2021, Real-ESRGAN)."""

import math
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

Kernel = NDArray[np.floating[Any]]
Form = Literal["gaussian", "generalised", "plateau"]

FORMS: tuple[tuple[Form, bool], ...] = (
    ("gaussian", True),
    ("gaussian", False),
    ("generalised", True),
    ("generalised", False),
    ("plateau", True),
    ("plateau", False),
)
"""Form, and whether it is round."""
SHARES = (0.45, 0.25, 0.12, 0.03, 0.12, 0.03)


def gaussian(
    size: int, sigma: tuple[float, float], angle: float = 0.0, form: Form = "gaussian", beta: float = 1.0
) -> Kernel:
    """A (size, size) kernel with standard deviations along two axes turned by `angle`, its sum 1.

    For d, the square distance in sigmas: exp(-d / 2); generalised exp(-d^beta / 2); plateau 1 / (1 + d^beta).
    """
    turned = np.array([[math.cos(angle), -math.sin(angle)], [math.sin(angle), math.cos(angle)]])
    inverse = turned @ np.diag([sigma[0] ** -2, sigma[1] ** -2]) @ turned.T
    distance = np.einsum("ihw,ij,jhw->hw", _grid(size), inverse, _grid(size))
    if form == "plateau":
        kernel = 1 / (1 + distance**beta)
    else:
        kernel = np.exp(-0.5 * distance ** (beta if form == "generalised" else 1.0))
    return kernel / kernel.sum()


def sinc(size: int, cutoff: float) -> Kernel:
    """The circular low-pass filter with `cutoff` in radians per pixel (0 to pi), its sum 1."""
    radius = np.hypot(*_grid(size))
    safe = np.where(radius == 0, 1.0, radius)
    kernel = np.where(
        radius == 0, cutoff**2 / (4 * math.pi), cutoff * bessel_j1(cutoff * safe) / (2 * math.pi * safe)
    )
    return kernel / kernel.sum()


def bessel_j1(x: Kernel) -> Kernel:
    """Bessel's J1, the mean over t in 0..pi of cos(t - x sin t): exact to 1e-12 for x < 60."""
    t = (np.arange(256) + 0.5) * (math.pi / 256)
    return np.cos(t - np.multiply.outer(x, np.sin(t))).mean(-1)


def random_kernel(generator: np.random.Generator, sigma: tuple[float, float], sinc_share: float) -> Kernel:
    """A kernel as Real-ESRGAN draws it: size 7 to 21, mostly Gaussians, some of each other form."""
    size = 2 * int(generator.integers(3, 11)) + 1
    if generator.random() < sinc_share:
        return sinc(size, generator.uniform(math.pi / 3 if size < 13 else math.pi / 5, math.pi))
    forms: list[tuple[Form, bool]] = [
        (f, round_) for f in ("gaussian", "generalised", "plateau") for round_ in (True, False)
    ]
    form, isotropic = forms[generator.choice(6, p=[0.45, 0.25, 0.12, 0.03, 0.12, 0.03])]
    first, second = generator.uniform(*sigma, 2)
    beta = generator.uniform(0.5, 4.0) if form == "generalised" else generator.uniform(1.0, 2.0)
    return gaussian(
        size, (first, first if isotropic else second), generator.uniform(-math.pi, math.pi), form, beta
    )


def _grid(size: int) -> Kernel:
    """Distances from the centre, (2, size, size)."""
    return np.stack(np.meshgrid(*(np.arange(size) - (size - 1) / 2,) * 2, indexing="ij"))
