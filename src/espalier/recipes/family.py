"""`--keep-architecture`: the result is a plain, narrower member of the architecture that the network came from."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import torch
from torch import Tensor, nn

from espalier.allocation.family import Sized
from espalier.channels import ChannelGroup, Channels, Member, sample_inputs
from espalier.errors import NetworkError, PlanError
from espalier.networks import spandrel
from espalier.networks.family import narrowed, save_plain
from espalier.networks.load import load
from espalier.networks.network import Network
from espalier.surgery import apply_to_state

TOLERANCE = 1e-5
"""Largest difference, relative to the largest output, at which two float32 runs count as equal."""


def rejoin(dense: Network, pruned: Network, channels: Channels, sizes: Sequence[Sized]) -> Network:
    """The pruned network as its architecture's own class builds it, with smaller arguments; no plan is left.

    Raises:
        PlanError: the class does not give the same network; the message says what differs.
    """
    plan = pruned.plans[-1]
    values = {size.width.argument: size.value_after(plan) for size in sizes}
    member = narrowed(dense, values)
    state = pruned.body.state_dict()
    for name, factor in _temperatures(dense, member, channels).items():
        state[name] = state[name] * apply_to_state({name: factor}, plan)[name]
    try:
        member.body.load_state_dict(state)
    except RuntimeError as error:
        raise PlanError(
            f"{dense.name} with {_spelled(values)} has other tensors than the pruned network: "
            f"{' '.join(str(error).split())[:300]}; leave --keep-architecture out"
        ) from error
    member.to(next(pruned.parameters()).device)
    member.masks = pruned.masks
    gap = difference(pruned, member)
    if not gap <= TOLERANCE:
        raise PlanError(
            f"{dense.name} with {_spelled(values)} computes something else than the pruned network (outputs differ "
            f"by {gap:.1e}): a number in its code depends on the width; leave --keep-architecture out"
        )
    return member


def write_plain(network: Network, path: Path) -> float:
    """Save as an ordinary checkpoint, load it as others will, and give the largest relative difference of outputs.

    Raises:
        PlanError: it does not come back as the same network; the file is removed.
    """
    save_plain(network, path)
    try:
        again = spandrel.read(path) if network.base.kind == "spandrel" else load(path)
        gap = float("inf") if again is None else difference(network, again)
        wrong = f"outputs differ by {gap:.1e}"
    except (NetworkError, RuntimeError) as error:
        gap, wrong = float("inf"), " ".join(str(error).split())[:300]
    if not gap <= TOLERANCE:
        path.unlink()
        raise PlanError(
            f"the narrower {network.name} is taken for another network when it is loaded from its tensors alone "
            f"({wrong}); choose another budget, or leave --keep-architecture out"
        )
    return gap


def difference(first: Network, second: Network) -> float:
    """Largest difference of the outputs for a random image, relative to the largest output."""
    one, two = _answer(first), _answer(second)
    if one.shape != two.shape:
        return float("inf")
    return float((one - two).abs().max() / one.abs().max())


def _answer(network: Network) -> Tensor:
    place = next(network.parameters()).device
    with torch.no_grad(), torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return network.eval()(sample_inputs(3, 24, 32).to(place)).cpu()


def _spelled(values: dict[str, int]) -> str:
    return ", ".join(f"{name}={value}" for name, value in values.items())


def _temperatures(dense: Network, member: Network, channels: Channels) -> dict[str, Tensor]:
    """Factors for the weights of queries where the class derives the attention's scale from the width.

    The scale of the narrower class is another number; put into the queries, the old one stays in force.
    """
    factors: dict[str, Tensor] = {}
    tensors = dict(dense.body.named_parameters())
    for name, ratio in _changed_scales(dense.body, member.body):
        for group in channels.groups:
            for part, positions in _queries(group, name):
                factor = factors.setdefault(part.tensor, torch.ones_like(tensors[part.tensor]))
                factor.index_fill_(part.dim, positions, ratio)
    return factors


def _changed_scales(dense: nn.Module, member: nn.Module) -> Iterator[tuple[str, float]]:
    for name, module in member.named_modules():
        before = vars(dense.get_submodule(name))
        for attribute, now in vars(module).items():
            then = before.get(attribute)
            if type(now) is float and type(then) is float and now != then and now:
                yield name, then / now


def _queries(group: ChannelGroup, module: str) -> Iterator[tuple[Member, Tensor]]:
    """The rows that make the queries, where a group is the width of an attention head of this module."""
    rows = [m for m in group.members if m.tensor.startswith(f"{module}.")]
    contracted = "attention" in group.pattern and all(
        m.dim == 0 for m in rows
    )  # what is weighed leaves by dim 1
    if not contracted or len(rows) < len(group.members):
        return
    first = rows[0].tensor.rpartition(".")[0]
    paired = sum(
        m.positions.shape[1] for m in rows if m.tensor.rpartition(".")[0] == first and m.positions.size
    )
    for member in rows:
        if member.tensor.rpartition(".")[0] == first and paired:
            yield member, torch.from_numpy(member.positions[:, 0])
