"""L1 between two-dimensional spectra, real and imaginary apart (as in Cho et al. 2021, MIMO-UNet, eq. 7)."""

import torch
from torch import Tensor

from espalier.losses.weighted import Loss


def build() -> Loss:
    def frequency(output: Tensor, target: Tensor) -> Tensor:
        # Linear, so one transform of the difference is enough; "ortho" keeps the size of an L1 on pixels.
        spectrum = torch.fft.rfft2((output - target).float(), norm="ortho")
        return torch.view_as_real(spectrum).abs().mean()

    return frequency
