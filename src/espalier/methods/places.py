"""Which tensors of a channel group a method looks at and presses on."""

from collections.abc import Callable

from torch import Tensor, nn

from espalier.channels import ChannelGroup, Member

Places = Callable[[nn.Module, ChannelGroup], tuple[Member, ...]]
"""The plain network (without parametrisations) and a group -> members of the group."""
_Summing = nn.modules.conv._ConvNd | nn.Linear


def makers(body: nn.Module, group: ChannelGroup) -> tuple[Member, ...]:
    """The weights of the layers whose outputs are these channels, in the order in which they are declared."""
    return tuple(m for m in _trained(body, group) if _is_maker(body, m))


def filters(body: nn.Module, group: ChannelGroup) -> tuple[Member, ...]:
    """All that must be zero for the channels to be zero: rows of weights, biases, scales and shifts of norms."""
    return tuple(m for m in _trained(body, group) if not _is_reader(body, m))


def everything(body: nn.Module, group: ChannelGroup) -> tuple[Member, ...]:
    """Also the columns of the layers that read the channels."""
    return _trained(body, group)


def scales(body: nn.Module, group: ChannelGroup) -> tuple[Member, ...]:
    """The scales of norms, one number per channel."""
    return tuple(m for m in _trained(body, group) if _is_scale(body, m))


def is_constrained(body: nn.Module, group: ChannelGroup) -> bool:
    """Whether the outputs of several layers meet in these channels, as in residual additions."""
    return sum(not _is_depthwise(body, member) for member in makers(body, group)) > 1


def judged(body: nn.Module, group: ChannelGroup) -> tuple[Member, ...]:
    """The makers, or where channels come from elsewhere whatever the group has."""
    return makers(body, group) or filters(body, group) or _trained(body, group)


def _trained(body: nn.Module, group: ChannelGroup) -> tuple[Member, ...]:
    names = {name for name, _ in body.named_parameters(remove_duplicate=False)}
    return tuple(member for member in group.members if member.tensor in names)


def _is_scale(body: nn.Module, member: Member) -> bool:
    module = body.get_submodule(member.tensor.rpartition(".")[0])
    slope = isinstance(module, nn.PReLU)  # one number per channel too, but 0 does not silence the channel
    return _kind(member) == "weight" and _tensor(body, member).ndim == 1 and not slope


def _is_maker(body: nn.Module, member: Member) -> bool:
    return _tensor(body, member).ndim > 1 and not _is_reader(body, member)


def _is_reader(body: nn.Module, member: Member) -> bool:
    """Whether a layer sums over this axis."""
    module, tensor = body.get_submodule(member.tensor.rpartition(".")[0]), _tensor(body, member)
    if tensor.ndim < 2:
        return False
    if isinstance(module, _Summing) and _kind(member) == "weight":
        if _is_depthwise(body, member):
            return False
        return member.dim == (0 if isinstance(module, nn.modules.conv._ConvTransposeNd) else 1)
    return member.dim > 0 and tensor.shape[0] > 1  # a bare parameter: rows first, or (1, ..., channels)


def _is_depthwise(body: nn.Module, member: Member) -> bool:
    module = body.get_submodule(member.tensor.rpartition(".")[0])
    return isinstance(module, nn.modules.conv._ConvNd) and 1 < module.groups == module.in_channels


def _kind(member: Member) -> str:
    return member.tensor.rpartition(".")[2]


def _tensor(body: nn.Module, member: Member) -> Tensor:
    name, _, kind = member.tensor.rpartition(".")
    return getattr(body.get_submodule(name), kind)
