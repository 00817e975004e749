"""How networks are run to be measured: at which size, without gradients, without weights if possible."""

import contextlib
import copy
from collections.abc import Iterator

import torch
from torch import Tensor, nn

from espalier.errors import NetworkError
from espalier.networks.network import Network

OUTPUT_SIZE = (720, 1280)
"""Height and width of the output at which papers state costs."""


def default_lr_size(scale: int) -> tuple[int, int]:
    """The input size whose output is 1280 x 720, to the nearest pixel."""
    height, width = OUTPUT_SIZE
    return round(height / scale), round(width / scale)


def example(lr_size: tuple[int, int], device: torch.device | str = "cpu") -> Tensor:
    """A repeatable image (1, 3, H, W) in 0..1; on "meta", one without values.

    Raises:
        NetworkError: a size below 1.
    """
    height, width = lr_size
    if min(height, width) < 1:
        raise NetworkError(f"cannot run a network on {width}x{height} pixels: both must be 1 or more")
    if torch.device(device).type == "meta":
        return torch.empty(1, 3, height, width, device="meta")
    return torch.rand(1, 3, height, width, generator=torch.Generator().manual_seed(0)).to(device)


def without_weights(network: Network) -> Network:
    """A copy on the meta device: shapes run through it in no time, whatever the size."""
    return copy.deepcopy(network).to("meta").eval()


@contextlib.contextmanager
def at_rest(*networks: nn.Module) -> Iterator[None]:
    """Evaluation mode and no gradients inside; the modes of all modules come back afterwards."""
    modes = [(module, module.training) for network in networks for module in network.modules()]
    try:
        for network in networks:
            network.eval()
        # not inference_mode: networks that keep tensors of a run could never be traced or trained again
        with torch.no_grad():
            yield
    finally:
        for module, training in modes:
            module.training = training
