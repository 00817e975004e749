"""This package's own file: of sparse networks the values that stay and coded masks, all values in 32 or 16 bits."""

from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor

from espalier.errors import NetworkError
from espalier.export import pth
from espalier.export.target import Exported, Request
from espalier.networks.file import save
from espalier.networks.network import Network

SUFFIX = ".safetensors"
BESIDE = ()
PACKAGES = ()


def write(network: Network, path: Path, request: Request) -> Exported:
    """Write the tensors, rounded to fp16 where 16 bits are wanted.

    Raises:
        NetworkError: a fixed size is wanted.
    """
    if request.fixed is not None:
        raise NetworkError("this file holds weights for any size; leave --fixed out")
    save(network, path, values=torch.float16 if request.half else None)
    return Exported(None)


def reader(path: Path) -> Callable[[Tensor], Tensor]:
    """The file as this package loads it."""
    return pth.reader(path)
