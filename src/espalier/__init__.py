"""Espalier makes trained image super-resolution networks smaller and faster."""

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from espalier.networks.network import Network

__version__ = "0.1.0"


def load(reference: str | Path, *, scale: int | None = None) -> "Network":
    """Load a network: see `espalier.networks.load.load`; torch is imported only now."""
    from espalier.networks.load import load as load_network

    return load_network(reference, scale=scale)


def save(network: "Network", path: str | Path) -> None:
    """Write a network as safetensors: see `espalier.networks.file.save`."""
    from espalier.networks.file import save as save_network

    save_network(network, path)
