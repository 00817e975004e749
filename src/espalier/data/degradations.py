"""From HR patches to LR patches: bicubic alone, blur with noise and JPEG, and Real-ESRGAN's second order."""

import difflib
import io
from dataclasses import dataclass

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torch.nn import functional

from espalier.data.kernels import Kernel, random_kernel, sinc
from espalier.data.patches import Degradation
from espalier.errors import ImageError
from espalier.images.resize import imresize


@dataclass(frozen=True)
class Round:
    """Ranges of one round of blur, resizing, noise and JPEG (Wang et al. 2021, Real-ESRGAN, section 4.1)."""

    blurred: float
    """Share of patches that are blurred."""
    sigma: tuple[float, float]
    resized: tuple[float, float, float]
    """Shares of patches that are enlarged, shrunk, kept."""
    factor: tuple[float, float]
    """Smallest and largest resizing."""
    gaussian: tuple[float, float]
    """Standard deviation of Gaussian noise, of 255."""
    poisson: tuple[float, float]
    """Scale of Poisson noise."""
    quality: tuple[int, int] = (30, 95)
    """Of the JPEG."""
    grey: float = 0.4
    """Share of noise that is the same in all channels."""


CLASSIC = Round(1.0, (0.2, 2.0), (0.0, 0.0, 1.0), (1.0, 1.0), (1, 15), (0.05, 1.0))
FIRST = Round(1.0, (0.2, 3.0), (0.2, 0.7, 0.1), (0.15, 1.5), (1, 30), (0.05, 3.0))
SECOND = Round(0.8, (0.2, 1.5), (0.3, 0.4, 0.3), (0.3, 1.2), (1, 25), (0.05, 2.5))
SINC = 0.1
"""Share of blur kernels that are sinc filters."""
LAST_SINC = 0.8
"""Share of patches that end with a sinc filter, before or after the last JPEG."""


def bicubic(hr: Tensor, scale: int, _generator: np.random.Generator) -> Tensor:
    """MATLAB's bicubic on 8-bit pixels, as the packed LR images are made."""
    pixels = hr.mul(255).round().clamp(0, 255).byte().permute(1, 2, 0).cpu().numpy()
    return torch.from_numpy(imresize(pixels, 1 / scale)).permute(2, 0, 1).float().div(255).to(hr.device)


def classic(hr: Tensor, scale: int, generator: np.random.Generator) -> Tensor:
    """Blur, bicubic, noise, JPEG, once."""
    height, width = hr.shape[-2] // scale, hr.shape[-1] // scale
    patch = blur(hr.cpu(), random_kernel(generator, CLASSIC.sigma, 0.0))
    patch = resize(patch, (height, width), "bicubic")
    return jpeg(noise(patch, CLASSIC, generator), _quality(CLASSIC, generator)).to(hr.device)


def second_order(hr: Tensor, scale: int, generator: np.random.Generator) -> Tensor:
    """Two rounds of blur, resizing, noise and JPEG, the last with a sinc filter."""
    height, width = hr.shape[-2] // scale, hr.shape[-1] // scale
    patch = _round(hr.cpu(), (hr.shape[-2], hr.shape[-1]), FIRST, generator)
    patch = jpeg(patch, _quality(FIRST, generator))
    patch = _round(patch, (height, width), SECOND, generator)
    ringing = sinc(21, generator.uniform(np.pi / 3, np.pi)) if generator.random() < LAST_SINC else None
    quality, mode = _quality(SECOND, generator), _mode(generator)
    if generator.random() < 0.5:
        patch = jpeg(_finish(patch, (height, width), mode, ringing), quality)
    else:
        patch = _finish(jpeg(patch, quality), (height, width), mode, ringing)
    return patch.mul(255).round().div(255).to(hr.device)


NAMED: dict[str, Degradation] = {"bicubic": bicubic, "classic": classic, "second-order": second_order}


def find(name: str) -> Degradation:
    """The degradation called `name`.

    Raises:
        ImageError: there is none of this name.
    """
    if name not in NAMED:
        near = difflib.get_close_matches(name, NAMED, 1) or list(NAMED)
        raise ImageError(f"no degradation is called {name!r}; did you mean {' or '.join(near)}?")
    return NAMED[name]


def blur(patch: Tensor, kernel: Kernel) -> Tensor:
    """Convolve every channel; the patch is mirrored beyond its border."""
    margin = kernel.shape[0] // 2
    mode = "reflect" if margin < min(patch.shape[-2:]) else "replicate"
    padded = functional.pad(patch[:, None], (margin,) * 4, mode)
    return functional.conv2d(padded, torch.from_numpy(kernel).float()[None, None])[:, 0]


def resize(patch: Tensor, size: tuple[int, int], mode: str) -> Tensor:
    """To (height, width) by "area", "bilinear" or "bicubic"."""
    options = {} if mode == "area" else {"align_corners": False}
    return functional.interpolate(patch[None], size, mode=mode, **options)[0].clamp(0, 1)


def noise(patch: Tensor, ranges: Round, generator: np.random.Generator) -> Tensor:
    """Gaussian or Poisson noise, in colour or grey."""
    grey = generator.random() < ranges.grey
    shape = (1, *patch.shape[1:]) if grey else tuple(patch.shape)
    if generator.random() < 0.5:
        added = generator.normal(0, generator.uniform(*ranges.gaussian) / 255, shape)
    else:
        clean = (patch.mean(0, keepdim=True) if grey else patch).double().numpy().clip(0, 1) * 255
        added = (generator.poisson(clean) - clean) / 255 * generator.uniform(*ranges.poisson)
    return (patch + torch.from_numpy(added).float()).clamp(0, 1)


def jpeg(patch: Tensor, quality: int) -> Tensor:
    """Through a JPEG file in memory."""
    pixels = patch.mul(255).round().clamp(0, 255).byte().permute(1, 2, 0).contiguous().numpy()
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "JPEG", quality=quality)
    return torch.from_numpy(np.array(Image.open(file))).permute(2, 0, 1).float().div(255)


def _round(patch: Tensor, base: tuple[int, int], ranges: Round, generator: np.random.Generator) -> Tensor:
    if generator.random() < ranges.blurred:
        patch = blur(patch, random_kernel(generator, ranges.sigma, SINC))
    way = generator.choice(3, p=ranges.resized)
    factor = [generator.uniform(1.0, ranges.factor[1]), generator.uniform(ranges.factor[0], 1.0), 1.0][way]
    size = (max(1, round(base[0] * factor)), max(1, round(base[1] * factor)))
    return noise(resize(patch, size, _mode(generator)), ranges, generator)


def _quality(ranges: Round, generator: np.random.Generator) -> int:
    return int(generator.integers(*ranges.quality, endpoint=True))


def _mode(generator: np.random.Generator) -> str:
    return ("area", "bilinear", "bicubic")[generator.integers(3)]


def _finish(patch: Tensor, size: tuple[int, int], mode: str, ringing: Kernel | None) -> Tensor:
    patch = resize(patch, size, mode)
    return patch if ringing is None else blur(patch, ringing).clamp(0, 1)
