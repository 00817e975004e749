"""Fourier transforms, complex numbers, and weights written as a length times a direction."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn.utils import parametrizations

from tests.channels.micro import WHOLE, between, conv, summary


def parts(x: Tensor) -> Tensor:
    z = torch.fft.rfft2(x)
    z = torch.view_as_complex(torch.stack((z.real * 2, z.imag), -1))
    return torch.fft.irfft2(z, s=x.shape[-2:])


KEEPS_EACH_CHANNEL: dict[str, Callable[[Any, Tensor], Tensor]] = {
    "there and back": lambda _, x: torch.fft.ifft2(torch.fft.fft2(x) * 1j).real,
    "parts": lambda _, x: parts(x),
    "amplitude and phase": lambda _, x: torch.polar(torch.fft.fft2(x).abs(), torch.fft.fft2(x).angle()).real,
    "conjugate": lambda _, x: (torch.fft.fft2(x) * torch.fft.fft2(x).conj()).real,
}


@pytest.mark.parametrize("name", KEEPS_EACH_CHANNEL)
def test_a_transform_over_space_keeps_channels(name: str) -> None:
    assert summary(between(KEEPS_EACH_CHANNEL[name])) == WHOLE


def test_a_transform_over_channels_keeps_them_whole() -> None:
    channels = between(lambda _, x: torch.fft.fft(x, dim=1).real)
    assert summary(channels)["head.weight"] == (8, "pinned")
    assert "_fft" in channels.group("head.weight").reason


@pytest.mark.parametrize("norm", [parametrizations.weight_norm, parametrizations.spectral_norm])
def test_normalised_weights_are_cut_by_all_their_parts(norm: Any) -> None:
    channels = between(lambda n, x: n.inner(x), out=6, inner=norm(conv(8, 6)))
    assert channels.unknown == []
    assert sorted(g.channels for g in channels.prunable) == [6, 8]
