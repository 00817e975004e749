"""Turning the channels of linear groups, so that little depends on the last of them.

Where only layers make and read a group's channels, and nothing bends or scales them one by one in between, any
rotation of them leaves the image as it is if the layers' weights turn along: the residual stream of EDSR or IMDN,
the inner channels of an attention gate, the values of an attention head. Losing a channel of a good basis costs less
than losing any channel as it was trained (Ashkboos et al., SliceGPT, 2024, for the stream of language models).
Whether a group is linear is not guessed from its operators: a random rotation is tried on it.
"""

import copy
from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.func import functional_call

from espalier.calibration.damage import Statistics, consumers_of
from espalier.calibration.elimination import Consumer
from espalier.calibration.layers import is_layer
from espalier.channels import ChannelGroup
from espalier.channels.rehearsal import Doubles
from espalier.networks.network import first

EQUAL = 1e-9
"""Largest difference, as a share of the largest output, at which a turned network counts as the same."""


def linear_groups(network: nn.Module, groups: Sequence[ChannelGroup], inputs: Tensor) -> list[ChannelGroup]:
    """The groups whose channels may be turned: those with which a random rotation changes no image.

    Args:
        inputs: small ones do; they are run in float64, once for each group that only layers touch.
    """
    twin, x = copy.deepcopy(network).double(), inputs.double()
    tensors = {**dict(twin.named_parameters()), **dict(twin.named_buffers())}
    generator = torch.Generator().manual_seed(0)
    found = []
    with torch.no_grad(), Doubles():
        whole = first(twin(x.clone()))
        for group in groups:
            if not _only_layers(network, group):
                continue
            random = torch.randn(group.channels, group.channels, generator=generator, dtype=torch.float64)
            rotation = torch.linalg.qr(random).Q.to(x.device)
            image = first(functional_call(twin, turned(tensors, group, rotation), (x.clone(),)))
            if (image - whole).abs().max() <= EQUAL * whole.abs().max():
                found.append(group)
    return found


def turned(tensors: dict[str, Tensor], group: ChannelGroup, rotation: Tensor) -> dict[str, Tensor]:
    """The tensors of the group's layers in another basis; `rotation` is (new channels, old channels)."""
    result: dict[str, Tensor] = {}
    for member in group.members:
        tensor = result.get(member.tensor, tensors[member.tensor])
        along = tensor.movedim(member.dim, 0)
        fresh = along.clone()
        for column in member.positions.T:
            places = torch.from_numpy(column).to(tensor.device)
            fresh[places] = torch.tensordot(rotation.to(tensor.dtype), along[places], 1)
        result[member.tensor] = fresh.movedim(0, member.dim).contiguous()
    return result


def turn_(network: nn.Module, groups: Sequence[ChannelGroup], found: Statistics) -> None:
    """Bring linear groups into the basis in which the first channels matter least to the image, in place."""
    with torch.no_grad():
        for group in groups:
            basis = best_basis(network, group, found)
            if basis is None:
                continue
            tensors = dict(network.named_parameters())
            for name, tensor in turned({k: v.double() for k, v in tensors.items()}, group, basis).items():
                tensors[name].copy_(tensor)


def best_basis(network: nn.Module, group: ChannelGroup, found: Statistics) -> Tensor | None:
    """Rows are directions, the one first whose loss costs the image least; None where no layer reads the group.

    With C the mean of outer products of the channels at one of these layers, and G what an error in them costs
    through it, they are the eigenvectors of the sum over layers of G^1/2 C G^1/2.
    """
    consumers = [c for member in group.members for c in consumers_of(network, member, found)]
    if not consumers:
        return None
    return torch.linalg.eigh(sum(_weighed(c) for c in consumers)).eigenvectors.T


def _weighed(consumer: Consumer) -> Tensor:
    """G^1/2 C G^1/2 of one layer."""
    values, vectors = torch.linalg.eigh(_cost_of_error(consumer))
    root = vectors * values.clamp(min=0).sqrt() @ vectors.T
    return root @ _of_channels(consumer) @ root


def _of_channels(consumer: Consumer) -> Tensor:
    """Mean over taps of the moments of the channels at one tap."""
    columns = consumer.columns
    blocks = [consumer.moments[c][:, c] for c in columns.unbind(1)]
    return torch.stack(blocks).mean(0).double()


def _cost_of_error(consumer: Consumer) -> Tensor:
    return torch.stack(
        [(w := consumer.weights[:, c].double()).T @ w for c in consumer.columns.unbind(1)]
    ).sum(0)


def _only_layers(network: nn.Module, group: ChannelGroup) -> bool:
    parameters = {member.tensor.rpartition(".") for member in group.members}
    return all(
        kind in ("weight", "bias") and is_layer(network.get_submodule(name)) for name, _, kind in parameters
    )
