"""Single weights go while the student goes on learning: iterative magnitude pruning to a share of all parameters."""

import torch

from espalier.errors import PlanError
from espalier.methods.masking import Rule, Search, Timing
from espalier.networks.network import Network
from espalier.sparsity import SPREADS, choose, keep_, weights
from espalier.sparsity.schedule import Cubic

RISE = 0.6
"""Share of the steps over which weights go; in the rest the network settles under masks that stay."""


def thinning(network: Network, share: float, spread: str, *, steps: int, rounds: int) -> Search:
    """A method that zeroes the smallest weights in `rounds` rounds, until `share` of all parameters is gone.

    Biases and norms stay, so the sparsity of what may go is a little higher. `spread` is "global" or "layer".

    Raises:
        PlanError: the share is out of range, or there are fewer steps than rounds.
    """
    tensors, sparsity = weights(network), sparsity_of(network, share, spread)
    every = interval(steps, rounds)
    rise = every * rounds
    rule = Rule(
        lambda view: choose({n: w.abs() for n, w in view.weights.items()}, view.sparsity, spread),
        learns=False,
    )
    masks = network.masks or {n: torch.ones_like(w, dtype=torch.bool) for n, w in tensors.items()}
    return Search(masks, rule, Timing(Cubic(sparsity, rise), rise, every))


def sparsity_of(network: Network, share: float, spread: str) -> float:
    """Sparsity of the weights that may go when `share` of all parameters goes.

    Raises:
        PlanError: the share is out of range, or no such spread.
    """
    params = sum(p.numel() for p in network.body.parameters())
    sparsity = share * params / sum(tensor.numel() for tensor in weights(network).values())
    if not 0 < sparsity < 1 or spread not in SPREADS:
        raise PlanError(
            f"cannot prune {share:g} of the parameters by {spread!r}; expected a share from 0 to "
            f"{share / sparsity if sparsity else 1:.2f} (biases and norms stay) and one of {', '.join(SPREADS)}"
        )
    return sparsity


def at_once(network: Network, share: float, spread: str) -> None:
    """Zero the smallest weights in place, without training."""
    sizes = {name: tensor.detach().abs() for name, tensor in weights(network).items()}
    masks = choose(sizes, sparsity_of(network, share, spread), spread)
    keep_(network, masks)


def interval(steps: int, rounds: int) -> int:
    """Steps between two rounds.

    Raises:
        PlanError: there are fewer steps than rounds.
    """
    every = int(RISE * steps) // rounds
    if every < 1:
        raise PlanError(
            f"{steps} steps are too few for {rounds} rounds of pruning; give at least {2 * rounds}"
        )
    return every


def keep(network: Network, found: Search) -> None:
    """Note the masks in the network, so that its file leaves the zeros out."""
    keep_(network, found.masks)
