"""Operators that trade space for channels or mix channels: shuffles, patches, padding."""

from torch import Tensor
from torch.nn import functional

from espalier.channels.atoms import ALIVE
from espalier.channels.call import Call
from espalier.channels.labels import shrunk
from espalier.channels.rules.movement import move
from espalier.channels.rules.reduction import over_space


def pixel_shuffle(call: Call) -> None:
    """The phases of a pixel come from channels side by side, which go together."""
    square = int(call.arg(1, "upscale_factor")) ** 2
    for factor in call.label(call.args[0]):
        if factor.shape[-3] > 1:
            by_pixel = factor.unflatten(-3, (-1, square))
            call.atoms.unite(by_pixel, by_pixel.narrow(-3, 0, 1), call.reason)
    move(call)
    out = call.outputs()[0]
    call.give(tuple(_without_phases(call, f) for f in call.label(out)))


def _without_phases(call: Call, factor: Tensor) -> Tensor:
    """The factor of united atoms, again of size 1 over height and width where they alone made it vary."""
    source = call.args[0]
    if any(f.shape[-1] > 1 or f.shape[-2] > 1 for f in call.label(source)):
        return factor
    return factor[..., :1, :1]


def channel_shuffle(call: Call) -> None:
    """Takes a channel of each group in turn, so the same channels must go from every group."""
    groups = call.arg(1, "groups")
    for factor in call.label(call.args[0]):
        if factor.shape[1] > 1:
            by_group = factor.unflatten(1, (groups, -1))
            call.atoms.unite(by_group, by_group[:, :1], call.reason)
    move(call)


def pad(call: Call) -> None:
    """Padding along an axis with channels adds positions that nobody owns; elsewhere it changes nothing."""
    amounts = list(call.args[1])
    label = []
    for factor in call.label(call.args[0]):
        own = [a if factor.shape[-1 - k // 2] > 1 else 0 for k, a in enumerate(amounts)]
        label.append(functional.pad(factor, own, value=ALIVE) if any(own) else factor)
    call.give(tuple(label))


def unfold(call: Call) -> None:
    """im2col: each channel owns all its kernel positions, in every patch."""
    x = call.args[0]
    out = call.outputs()[0]
    label = []
    for factor in over_space(call, call.label(x), x.ndim - 2):
        channels = factor.flatten(-3)
        times = out.shape[-2] // x.shape[-3] if channels.shape[-1] > 1 else 1
        label.append(channels.repeat_interleave(times, dim=-1).unsqueeze(-1))
    call.give(tuple(label), out)


def fold(call: Call) -> None:
    """col2im: overlapping patches are summed, so all kernel positions of a channel go together."""
    source = call.args[0]
    out = call.outputs()[0]
    channels = out.shape[-3]
    label = []
    for factor in call.label(source):
        full = factor.expand(source.shape)
        by_channel = full.reshape(*source.shape[:-2], channels, -1, source.shape[-1])
        first = by_channel[..., :1, :1]
        call.atoms.unite(by_channel, first, call.reason)
        small = shrunk(first)
        if small is not None:
            label.append(small)
    call.give(tuple(label), out)


RULES = {
    "pixel_shuffle": pixel_shuffle,
    "channel_shuffle": channel_shuffle,
    "native_channel_shuffle": channel_shuffle,
    "constant_pad_nd": pad,
    "im2col": unfold,
    "col2im": fold,
}
