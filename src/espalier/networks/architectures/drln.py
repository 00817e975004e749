"""DRLN (Anwar and Barnes, TPAMI 2020, figures 2 to 4): cascades of dense residual Laplacian modules.

Images in 0..255.
"""

import itertools
from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn

from espalier.networks.layers import DIV2K_MEAN, ShuffleUpsampler, conv3, mean_shifts
from espalier.networks.network import Adapter
from espalier.networks.recognise import Recognised, has, rename, stored_means, without

CASCADES = (3, 3, 3, 3, 4, 4)
"""How many modules stand in each of the paper's six cascades."""


class Gate(nn.Module):
    """A convolution and an activation."""

    def __init__(self, conv: nn.Conv2d, activation: nn.Module) -> None:
        super().__init__()
        self.body = nn.Sequential(conv, activation)

    def forward(self, x: Tensor) -> Tensor:
        return self.body(x)


class LaplacianAttention(nn.Module):
    """Channel attention through a pyramid of three dilated convolutions of the mean."""

    def __init__(self, channels: int, reduction: int = 16) -> None:
        super().__init__()
        thin = channels // reduction
        self.c1, self.c2, self.c3 = (
            Gate(nn.Conv2d(channels, thin, 3, padding=reach, dilation=reach), nn.ReLU())
            for reach in (3, 5, 7)
        )
        self.c4 = Gate(conv3(3 * thin, channels), nn.Sigmoid())

    def forward(self, x: Tensor) -> Tensor:
        mean = x.mean((2, 3), keepdim=True)
        return x * self.c4(torch.cat([self.c1(mean), self.c2(mean), self.c3(mean)], dim=1))


class ResidualUnit(nn.Module):
    """Convolution, ReLU, convolution, the input added, ReLU."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.body = nn.Sequential(conv3(channels, channels), nn.ReLU(), conv3(channels, channels))
        self.act = nn.ReLU()

    def forward(self, x: Tensor) -> Tensor:
        return self.act(self.body(x) + x)


class DRLM(nn.Module):
    """Three densely joined residual units that double in width, a pointwise fusion, Laplacian attention."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.r1, self.r2, self.r3 = (ResidualUnit(n * channels) for n in (1, 2, 4))
        self.g = Gate(nn.Conv2d(8 * channels, channels, 1), nn.ReLU())
        self.ca = LaplacianAttention(channels)

    def forward(self, x: Tensor) -> Tensor:
        for unit in (self.r1, self.r2, self.r3):
            x = torch.cat([x, unit(x)], dim=1)
        return self.ca(self.g(x))


class DRLN(nn.Module):
    """Modules in cascades (twenty in six in the paper), a skip over each and over all; pixel shuffle."""

    def __init__(self, *, scale: int = 4, channels: int = 64, cascades: Sequence[int] = CASCADES) -> None:
        super().__init__()
        self.cascades = tuple(cascades)
        self.sub_mean, self.add_mean = mean_shifts(DIV2K_MEAN, 255.0)
        self.head = conv3(3, channels)
        index = 0
        for modules in self.cascades:
            for place in range(modules):
                index += 1
                setattr(self, f"b{index}", DRLM(channels))
                setattr(self, f"c{index}", Gate(conv3((place + 2) * channels, channels), nn.ReLU()))
        self.upsample = ShuffleUpsampler(channels, scale)
        self.tail = conv3(channels, 3)

    def forward(self, x: Tensor) -> Tensor:
        shallow = out = skip = self.head(self.sub_mean(x))
        index = 0
        for modules in self.cascades:
            out = self._cascade(out, skip, index, modules)
            skip = out + skip
            index += modules
        return self.add_mean(self.tail(self.upsample(skip + shallow)))

    def _cascade(self, out: Tensor, skip: Tensor, index: int, modules: int) -> Tensor:
        """Modules `index + 1` and on: the first sees `skip`, the next the fusion of all before."""
        seen, x = out, skip
        for place in range(modules):
            number = index + place + 1
            # the authors' b5 sees the skip too, so it is in trained weights; nobody reads c4 then
            seen = torch.cat([seen, getattr(self, f"b{number}")(skip if number == 5 else x)], dim=1)
            x = getattr(self, f"c{number}")(seen)
        return x


NETWORK = DRLN


def adapter(arguments: Mapping[str, object]) -> Adapter:  # noqa: ARG001
    return Adapter(range=255.0)


def recognise(state: Mapping[str, Tensor], scale: int | None = None) -> Recognised | None:  # noqa: ARG001
    """Keys head, b1.r1.body.0, b1.ca.c4.body.0, c1.body.0, upsample.up.body.0, tail."""
    if not has(state, "head.weight", "b1.r3.body.0.weight", "b1.ca.c4.body.0.weight", "c1.body.0.weight"):
        return None
    kept = rename(without(state, "sub_mean.", "add_mean."), {r"upsample\.up\.": "upsample."})
    channels = state["head.weight"].shape[0]
    found = ShuffleUpsampler.scale_of(kept, "upsample.", channels)
    cascades = cascades_of(state, channels)
    others = {"cascades": list(cascades)} if cascades != CASCADES else {}
    arguments = {"scale": found, "channels": channels, **others}
    means = stored_means(state, tuple(255 * colour for colour in DIV2K_MEAN))
    return Recognised(arguments, {**kept, **means})


def cascades_of(state: Mapping[str, Tensor], channels: int) -> tuple[int, ...]:
    """Modules per cascade: a fusion reads what its cascade was given and every module of it so far."""
    names = itertools.takewhile(state.__contains__, (f"c{n}.body.0.weight" for n in itertools.count(1)))
    places = [state[name].shape[1] // channels - 1 for name in names]
    return tuple(place for place, after in zip(places, [*places[1:], 1]) if after == 1)
