"""A plain checkpoint: a state dict that other programs load by its tensors' names and sizes."""

from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor

from espalier.errors import NetworkError
from espalier.export.target import Exported, Request
from espalier.networks.family import save_plain
from espalier.networks.load import load
from espalier.networks.network import Network

SUFFIX = ".pth"
BESIDE = ()
PACKAGES = ()


def write(network: Network, path: Path, request: Request) -> Exported:
    """Write the tensors under the names of the architecture's own class.

    Raises:
        NetworkError: no class has these sizes, or 16 bits or a fixed size are wanted.
    """
    if request.half or request.fixed is not None:
        raise NetworkError("a .pth holds weights for any size, in 32 bits; leave --half and --fixed out")
    try:
        save_plain(network, path)
    except NetworkError as error:
        raise NetworkError(
            f"{error}; export it --to onnx or pt2, or compress with --keep-architecture"
        ) from error
    return Exported(None)


def reader(path: Path) -> Callable[[Tensor], Tensor]:
    """The file as anybody loads it."""
    network = load(path)

    def run(x: Tensor) -> Tensor:
        with torch.no_grad():
            return network(x)

    return run
