"""Loading a network for pruning."""

from pathlib import Path

from espalier.networks.load import load
from espalier.networks.network import Network
from espalier.networks.prepare import prepare


def opened(reference: str | Path, scale: int | None = None) -> Network:
    """Load and prepare.

    Raises:
        NetworkError: it cannot be loaded.
    """
    return prepared(load(reference, scale=scale))


def prepared(network: Network) -> Network:
    """The network itself where it was prepared before, as every pruned one was; else a prepared copy."""
    return network if network.plans or network.masks or network.base.prepared else prepare(network)
