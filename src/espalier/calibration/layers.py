"""Layers that can be refitted: their weights as matrices, and the rows of numbers that meet these matrices.

A row is what one output position is computed from. Columns stand in the order (input channel, kernel tap).
"""

from collections.abc import Iterator
from math import prod
from typing import TypeGuard

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.utils import parametrize

Layer = nn.Conv2d | nn.ConvTranspose2d | nn.Linear


def is_layer(module: nn.Module) -> TypeGuard[Layer]:
    """Whether a module is a sum of products that least squares can refit."""
    if type(module) not in (nn.Conv2d, nn.ConvTranspose2d, nn.Linear):
        return False
    return not parametrize.is_parametrized(module)


def input_axis(layer: Layer) -> int:
    """The axis of the weight over which it sums."""
    return 0 if isinstance(layer, nn.ConvTranspose2d) else 1


def groups_of(layer: Layer) -> int:
    return 1 if isinstance(layer, nn.Linear) else layer.groups


def matrix(layer: Layer) -> Tensor:
    """The weight as (groups, outputs of a group, columns), float64."""
    weight = layer.weight.detach().double()
    if isinstance(layer, nn.ConvTranspose2d):
        weight = weight.unflatten(0, (layer.groups, -1)).transpose(1, 2)
    else:
        weight = weight.unflatten(0, (groups_of(layer), -1))
    return weight.flatten(2)


def fill_(layer: Layer, weight: Tensor, bias: Tensor | None) -> None:
    """Put a matrix (as `matrix` gives it) and a bias back."""
    shape = layer.weight.shape
    if isinstance(layer, nn.ConvTranspose2d):
        count = layer.groups
        parted = weight.reshape(count, shape[1], shape[0] // count, *shape[2:]).transpose(1, 2)
        layer.weight.data.copy_(parted.reshape(shape))
    else:
        layer.weight.data.copy_(weight.reshape(shape))
    if bias is not None and layer.bias is not None:
        layer.bias.data.copy_(bias)


def positions(layer: Layer, output: Tensor) -> int:
    """Output positions in all, over batch and space together."""
    return output.numel() // output.shape[output.ndim - 1 if isinstance(layer, nn.Linear) else 1]


def places(layer: Layer, output: Tensor, count: int, seed: int) -> Tensor:
    """At most `count` output positions, ascending, drawn evenly: indices over batch and space together."""
    total = positions(layer, output)
    if total <= count:
        return torch.arange(total, device=output.device)
    step = total / count
    jitter = torch.rand(count, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    return (
        ((torch.arange(count, dtype=torch.float64) + jitter) * step)
        .long()
        .clamp(max=total - 1)
        .to(output.device)
    )


def output_rows(layer: Layer, output: Tensor, where: Tensor) -> Tensor:
    """Values at these positions, shape (positions, channels)."""
    if isinstance(layer, nn.Linear):
        return output.reshape(-1, output.shape[-1])[where]
    n, y, x = _unravel(where, output)
    return output[n, :, y, x]


def input_rows(layer: Layer, x: Tensor, output: Tensor, where: Tensor, *, ones: bool = False) -> Tensor:
    """What these positions are computed from, (positions, groups, columns); a last column of ones if asked."""
    groups, taps = groups_of(layer), prod(layer.weight.shape[2:])
    columns = layer.weight.shape[input_axis(layer)] // (groups if input_axis(layer) == 0 else 1) * taps
    rows = x.new_ones(len(where), groups, columns + ones)
    parted = rows[..., :columns].unflatten(-1, (-1, taps))
    for k, values in enumerate(_taps_of(layer, x, output, where)):
        parted[..., k] = values.unflatten(1, (groups, -1))
    return rows


def _taps_of(layer: Layer, x: Tensor, output: Tensor, where: Tensor) -> Iterator[Tensor]:
    """For each kernel tap the input it meets at these positions, (positions, channels)."""
    if isinstance(layer, nn.Linear):
        return iter([x.reshape(-1, x.shape[-1])[where]])
    if isinstance(layer, nn.ConvTranspose2d):
        return _transposed_taps(layer, x, output, where)
    return _taps(layer, x, output, where)


def _unravel(where: Tensor, output: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    height, width = output.shape[2:]
    area = height * width
    return where // area, where % area // width, where % width


def _taps(layer: nn.Conv2d, x: Tensor, output: Tensor, where: Tensor) -> Iterator[Tensor]:
    mode = "constant" if layer.padding_mode == "zeros" else layer.padding_mode
    padded = functional.pad(x, layer._reversed_padding_repeated_twice, mode=mode)
    n, top, left = _unravel(where, output)
    (tall, wide), (down, right), (dy, dx) = layer.kernel_size, layer.stride, layer.dilation
    for i in range(tall):
        for j in range(wide):
            yield padded[n, :, top * down + i * dy, left * right + j * dx]


def _transposed_taps(layer: nn.ConvTranspose2d, x: Tensor, output: Tensor, where: Tensor) -> Iterator[Tensor]:
    """Tap (i, j) serves the outputs that lie a multiple of the stride behind it; zero for the others."""
    n, top, left = _unravel(where, output)
    (tall, wide), (down, right), (dy, dx) = layer.kernel_size, layer.stride, layer.dilation
    pad_y, pad_x = int(layer.padding[0]), int(layer.padding[1])
    for i in range(tall):
        for j in range(wide):
            y, left_over_y = (top + pad_y - i * dy) // down, (top + pad_y - i * dy) % down
            z, left_over_x = (left + pad_x - j * dx) // right, (left + pad_x - j * dx) % right
            inside = (y >= 0) & (y < x.shape[2]) & (z >= 0) & (z < x.shape[3])
            inside &= (left_over_y == 0) & (left_over_x == 0)
            values = x[n, :, y.clamp(0, x.shape[2] - 1), z.clamp(0, x.shape[3] - 1)]
            yield values * inside[:, None]
