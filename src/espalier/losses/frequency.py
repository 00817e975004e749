"""L1 between the two-dimensional spectra (as in Cho et al. 2021, MIMO-UNet, equation 7), real and imaginary parts apart."""

import torch
from torch import Tensor

from espalier.losses.weighted import Loss


def build() -> Loss:
    def frequency(output: Tensor, target: Tensor) -> Tensor:
        # The transform is linear, so one of the difference is enough; "ortho" keeps the size of an L1 on pixels.
        spectrum = torch.fft.rfft2((output - target).float(), norm="ortho")
        return torch.view_as_real(spectrum).abs().mean()

    return frequency
