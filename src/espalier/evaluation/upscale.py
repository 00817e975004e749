"""From a low-resolution image in bytes to the planes that are compared: networks and the bicubic baseline."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from espalier.costs.running import at_rest
from espalier.errors import NetworkError
from espalier.evaluation.ensemble import self_ensemble
from espalier.evaluation.tiling import OVERLAP, fitting_tile, tiled
from espalier.images.metrics import eight_bits, planes_of_bytes
from espalier.images.resize import imresize
from espalier.networks.network import Network

Upscaler = Callable[[NDArray, bool], Tensor]
"""(Low-resolution RGB (h, w, 3) uint8, whether Y is wanted) -> planes (1, C, H, W) in 0..255, float64."""


def planes_of_array(pixels: NDArray, y: bool) -> Tensor:
    """The planes of an RGB array (H, W, 3) uint8."""
    return planes_of_bytes(torch.from_numpy(pixels).permute(2, 0, 1)[None], y)


def bicubic(scale: int) -> Upscaler:
    """MATLAB's bicubic enlargement in bytes: the baseline of every paper."""
    return lambda pixels, y: planes_of_array(imresize(pixels, scale), y)


def by_network(
    network: Network, *, ensemble: bool = False, tile: int | None = None, overlap: int = OVERLAP
) -> Upscaler:
    """Enlarge with `network`, where it is; a Y-only network is measured on its own Y.

    RGB is rounded to bytes, as in a file; a network's own Y is not, as its authors measure it. Networks fed
    a bicubic enlargement get one made in bytes, like an image file.
    Without `tile`, images are cut into parts only where a run would take more than 1 GiB.
    """
    if network.adapter.enlarged:
        same_size = by_network(_of_enlarged(network), ensemble=ensemble, tile=tile, overlap=overlap)
        return lambda pixels, y: same_size(imresize(pixels, network.scale), y)

    fitting = fitting_tile(network)

    def upscale(pixels: NDArray, y: bool) -> Tensor:
        luma = y and network.adapter.luma
        run = network.luma if luma else network.forward
        finish = _finite if luma else _bytes
        edge = tile or fitting(pixels.shape[:2]) or max(pixels.shape[:2])
        with at_rest(network):
            out = tiled(
                _ensembled(run) if ensemble else run,
                _input(pixels, network),
                network.scale,
                edge,
                overlap,
                finish,
            )
        return out.double() if luma else planes_of_bytes(out, y)

    return upscale


def _of_enlarged(network: Network) -> Network:
    """The same body as a network that keeps the size of an image that has been enlarged for it."""
    adapter = replace(network.adapter, enlarged=False)
    return Network(network.body, name=network.name, scale=1, base=network.base, adapter=adapter)


def _ensembled(run: Callable[[Tensor], Tensor]) -> Callable[[Tensor], Tensor]:
    return lambda image: self_ensemble(run, image)


def _input(pixels: NDArray, network: Network) -> Tensor:
    like = next(network.parameters(), torch.empty(0))
    image = torch.from_numpy(np.ascontiguousarray(pixels)).permute(2, 0, 1)[None]  # channels last: faster
    return image.to(like.device).float().div_(255).to(like.dtype)


def _finite(out: Tensor) -> Tensor:
    if not bool(out.isfinite().all()):
        raise NetworkError("the network gave numbers that are not finite (NaN or infinity)")
    return out.float()


def _bytes(rgb: Tensor) -> Tensor:
    return eight_bits(_finite(rgb) * 255).to(torch.uint8)
