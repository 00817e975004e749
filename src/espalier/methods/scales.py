"""Weight normalisation: every row of a layer's weight as a length, which is learned, times a direction.

Salimans and Kingma, NeurIPS 2016, equation 2; ASSL, equation 3.
"""

from collections.abc import Iterable

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize

from espalier.channels import Member

LAYERS = (
    nn.Conv1d,
    nn.Conv2d,
    nn.Conv3d,
    nn.ConvTranspose1d,
    nn.ConvTranspose2d,
    nn.ConvTranspose3d,
    nn.Linear,
)


class Scaled(nn.Module):
    """weight = scale * direction / |direction|, norms taken over all axes but `dim`."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.dim = dim

    def forward(self, scale: Tensor, direction: Tensor) -> Tensor:
        return scale * direction / self._length(direction)

    def right_inverse(self, weight: Tensor) -> tuple[Tensor, Tensor]:
        """The scales begin as the norms of the weights that were loaded."""
        return torch.linalg.vector_norm(weight, dim=self._others(weight), keepdim=True), weight

    def _length(self, weight: Tensor) -> Tensor:
        norm = torch.linalg.vector_norm(weight, dim=self._others(weight), keepdim=True)
        return norm.clamp(min=torch.finfo(weight.dtype).tiny ** 0.5)

    def _others(self, weight: Tensor) -> list[int]:
        return [axis for axis in range(weight.ndim) if axis != self.dim]


def scale_(body: nn.Module, members: Iterable[Member]) -> list[str]:
    """Give layers scales on the rows of these members, in place; gives the names of the layers.

    Left as they are: weights that several layers share, bare parameters, and layers with scales already.
    """
    shared = _shared(body)
    done = []
    for member in members:
        name, _, kind = member.tensor.rpartition(".")
        layer = body.get_submodule(name)
        if kind == "weight" and type(layer) in LAYERS and layer.weight not in shared:
            parametrize.register_parametrization(layer, "weight", Scaled(member.dim))
            done.append(name)
    return done


def fold_(body: nn.Module, layers: Iterable[str]) -> None:
    """Multiply scales and directions out, in place."""
    for name in layers:
        parametrize.remove_parametrizations(body.get_submodule(name), "weight")


def pressed(body: nn.Module, member: Member) -> nn.Parameter:
    """What a penalty on these rows moves: the scales of a layer that has them, otherwise the tensor itself."""
    name, _, kind = member.tensor.rpartition(".")
    module = body.get_submodule(name)
    if parametrize.is_parametrized(module, kind):
        return module.parametrizations[kind].original0  # type: ignore[union-attr]  # pyright: ignore
    return getattr(module, kind)


def _shared(body: nn.Module) -> set[nn.Parameter]:
    seen: set[nn.Parameter] = set()
    twice: set[nn.Parameter] = set()
    for _, parameter in body.named_parameters(remove_duplicate=False):
        (twice if parameter in seen else seen).add(parameter)
    return twice
