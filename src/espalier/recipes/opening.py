"""Loading a network for pruning."""

from pathlib import Path

from espalier.networks.load import load
from espalier.networks.network import Network
from espalier.networks.prepare import prepare


def opened(reference: str | Path, scale: int | None = None) -> Network:
    """Load and prepare; a network that was pruned before was prepared then.

    Raises:
        NetworkError: it cannot be loaded.
    """
    network = load(reference, scale=scale)
    return network if network.plans else prepare(network)
