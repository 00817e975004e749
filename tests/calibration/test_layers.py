import pytest
import torch
from torch import nn

from espalier.calibration.layers import fill_, groups_of, input_rows, is_layer, matrix, output_rows, places

LAYERS = {
    "3x3": lambda: nn.Conv2d(4, 6, 3, padding=1),
    "strided": lambda: nn.Conv2d(4, 6, 3, stride=2, padding=1),
    "dilated": lambda: nn.Conv2d(4, 6, 3, padding=2, dilation=2),
    "same": lambda: nn.Conv2d(4, 6, (3, 5), padding="same"),
    "reflected": lambda: nn.Conv2d(4, 6, 3, padding=1, padding_mode="reflect"),
    "grouped": lambda: nn.Conv2d(4, 6, 3, padding=1, groups=2),
    "depthwise": lambda: nn.Conv2d(4, 4, 5, padding=2, groups=4),
    "pointwise": lambda: nn.Conv2d(4, 6, 1),
    "transposed": lambda: nn.ConvTranspose2d(4, 6, 4, stride=2, padding=1),
    "deconvolution": lambda: nn.ConvTranspose2d(4, 6, 9, stride=3, padding=4, output_padding=1),
    "transposed and grouped": lambda: nn.ConvTranspose2d(4, 6, 3, stride=2, groups=2),
}


@pytest.mark.parametrize("kind", LAYERS)
def test_rows_times_the_matrix_are_the_output(kind: str) -> None:
    torch.manual_seed(0)
    layer, x = LAYERS[kind]().double(), torch.rand(2, 4, 7, 9, dtype=torch.float64)
    output = layer(x)
    where = places(layer, output, 50, seed=0)
    rows, weights = input_rows(layer, x, output, where), matrix(layer)
    product = torch.einsum("pgk,gok->pgo", rows, weights).flatten(1) + layer.bias
    torch.testing.assert_close(product, output_rows(layer, output, where))
    assert len(weights) == groups_of(layer)
    with_ones = input_rows(layer, x, output, where, ones=True)
    assert torch.equal(with_ones[..., :-1], rows)
    assert (with_ones[..., -1] == 1).all()


def test_rows_of_a_linear_layer_count_all_tokens() -> None:
    layer, x = nn.Linear(5, 3).double(), torch.rand(2, 4, 6, 5, dtype=torch.float64)
    output = layer(x)
    where = places(layer, output, 1000, seed=0)
    assert len(where) == 48
    rows = input_rows(layer, x, output, where)[:, 0]
    torch.testing.assert_close(rows @ matrix(layer)[0].T + layer.bias, output_rows(layer, output, where))


@pytest.mark.parametrize("kind", LAYERS)
def test_a_matrix_goes_back_where_it_came_from(kind: str) -> None:
    layer = LAYERS[kind]()
    before = layer.weight.detach().clone()
    weights = matrix(layer)
    layer.weight.data.zero_()
    fill_(layer, weights, torch.ones_like(layer.bias))
    assert torch.equal(layer.weight, before)
    assert layer.bias.eq(1).all()


def test_positions_are_drawn_evenly_and_repeatably() -> None:
    layer = nn.Conv2d(1, 1, 1)
    output = layer(torch.rand(2, 1, 40, 50))
    where = places(layer, output, 100, seed=3)
    assert torch.equal(where, places(layer, output, 100, seed=3))
    assert where.diff().min() > 0
    assert where.max() < 4000
    assert torch.histc(where.double(), 10, 0, 4000).eq(10).all()


def test_only_plain_layers_count() -> None:
    assert is_layer(nn.Conv2d(1, 1, 1))
    assert not is_layer(nn.BatchNorm2d(1))
    assert not is_layer(nn.utils.parametrizations.weight_norm(nn.Conv2d(1, 1, 1)))
