"""BT.601 studio-range YCbCr, as MATLAB's rgb2ycbcr defines it: RGB in 0..1, YCbCr on the 0..255 scale."""

import torch
from torch import Tensor

_TO_YCBCR = ((65.481, 128.553, 24.966), (-37.797, -74.203, 112.0), (112.0, -93.786, -18.214))
_OFFSET = (16.0, 128.0, 128.0)
_TO_RGB = torch.linalg.inv(torch.tensor(_TO_YCBCR, dtype=torch.float64)).tolist()


def rgb_to_y(rgb: Tensor) -> Tensor:
    """RGB (N, 3, H, W) in 0..1 to luma (N, 1, H, W) in 16..235."""
    red, green, blue = rgb.unbind(1)
    r, g, b = _TO_YCBCR[0]
    return (red * r + green * g + blue * b + _OFFSET[0]).unsqueeze(1)


def rgb_to_ycbcr(rgb: Tensor) -> Tensor:
    """RGB (N, 3, H, W) in 0..1 to Y in 16..235, Cb and Cr in 16..240."""
    return _mix(rgb, _TO_YCBCR) + rgb.new_tensor(_OFFSET).view(1, 3, 1, 1)


def ycbcr_to_rgb(ycbcr: Tensor) -> Tensor:
    """The inverse of `rgb_to_ycbcr`; not clamped."""
    return _mix(ycbcr - ycbcr.new_tensor(_OFFSET).view(1, 3, 1, 1), _TO_RGB)


def _mix(image: Tensor, matrix: tuple[tuple[float, ...], ...] | list[list[float]]) -> Tensor:
    return torch.einsum("oc,nchw->nohw", image.new_tensor(matrix), image)
