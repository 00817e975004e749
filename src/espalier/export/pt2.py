"""torch.export's own file: runs wherever torch runs, without this package."""

import logging
from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor

from espalier.export.target import KEY, Exported, Request, metadata
from espalier.export.trace import program
from espalier.files import replacing
from espalier.networks.network import Network

SUFFIX = ".pt2"
BESIDE = ()
PACKAGES = ()


def write(network: Network, path: Path, request: Request) -> Exported:
    """Write the traced program with its weights; metadata in the extra file "espalier"."""
    traced, exported = program(network, request)
    logging.getLogger("torch.export").setLevel(logging.ERROR)
    with replacing(path) as temporary, temporary.open("wb") as file:
        told = {KEY: metadata(network, exported.size, request.half)}
        torch.export.save(traced, file, extra_files=told)
    return exported


def reader(path: Path) -> Callable[[Tensor], Tensor]:
    """Only for files of one's own: torch reads parts of them with pickle."""
    with path.open("rb") as file:
        module = torch.export.load(file).module()
    like = next(module.parameters(), torch.empty(0)).dtype

    def run(x: Tensor) -> Tensor:
        with torch.no_grad():
            return module(x.to(like)).float()

    return run
