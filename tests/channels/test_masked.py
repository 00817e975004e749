"""The masked formulas against the same operator on the living positions alone."""

from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from espalier.channels import analyse, masked, sample_inputs

aten = torch.ops.aten
LIVING = [0, 2, 3, 6]
DEAD = [1, 4, 5, 7]


def noise(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def mask(dim: int, ndim: int) -> Tensor:
    lives = torch.zeros(8, dtype=torch.bool)
    lives[LIVING] = True
    return lives.view([-1 if d == dim else 1 for d in range(ndim)])


def first(result: Any) -> Tensor:
    return result if isinstance(result, Tensor) else result[0]


REDUCTIONS = [
    (aten.mean.dim, ([1],), {}),
    (aten.mean.dim, ([1, 2],), {"keepdim": True}),
    (aten.sum.dim_IntList, ([1],), {}),
    (aten.amax.default, ([1],), {}),
    (aten.amin.default, ([1],), {}),
    (aten.max.dim, (1,), {}),
    (aten.min.dim, (1,), {}),
    (aten.prod.dim_int, (1,), {}),
    (aten.logsumexp.default, ([1],), {}),
    (aten.var.correction, ([1],), {}),
    (aten.var.correction, ([1, 2],), {"correction": 0, "keepdim": True}),
    (aten.std.correction, ([1],), {"correction": 1}),
    (aten.var_mean.correction, ([1],), {"correction": 0}),
    (aten.std_mean.correction, ([1],), {}),
    (aten.linalg_vector_norm.default, (2.0, [1]), {}),
]


@pytest.mark.parametrize(("func", "args", "kwargs"), REDUCTIONS, ids=lambda v: str(v) if callable(v) else "")
def test_reductions_over_the_masked_dimension(
    func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]
) -> None:
    x = noise(2, 8, 5)
    found = masked.call(func, (x, *args), kwargs, [mask(1, 3)])
    expected = func(x[:, LIVING], *args, **kwargs)
    torch.testing.assert_close(first(found), first(expected), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize(("func", "args", "kwargs"), REDUCTIONS, ids=lambda v: str(v) if callable(v) else "")
def test_reductions_beside_the_masked_dimension_stay_finite(
    func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]
) -> None:
    """A dead channel's statistics over space must not turn into NaN, which no zero weight stops."""
    x = noise(5, 3, 8)
    found = first(masked.call(func, (x, *args), kwargs, [mask(2, 3)]))
    assert bool(found.isfinite().all())
    expected = first(func(x[:, :, LIVING], *args, **kwargs))
    if found.shape[-1] == 8:
        torch.testing.assert_close(found[..., LIVING], expected, rtol=1e-12, atol=1e-12)


def test_softmax_shares_among_the_living() -> None:
    x = noise(2, 8, 5)
    found = masked.call(aten._softmax.default, (x, 1, False), {}, [mask(1, 3)])
    torch.testing.assert_close(found[:, LIVING], x[:, LIVING].softmax(1))
    assert not found[:, DEAD].any()


def test_softmax_of_dead_rows_is_zero() -> None:
    found = masked.call(aten._softmax.default, (noise(2, 8, 5), 2, False), {}, [mask(1, 3)])
    assert not found[:, DEAD].any()
    assert bool(found.isfinite().all())


def test_log_softmax_is_finite_on_dead_positions() -> None:
    x = noise(2, 8)
    found = masked.call(aten._log_softmax.default, (x, 1, False), {}, [mask(1, 2)])
    torch.testing.assert_close(found[:, LIVING], x[:, LIVING].log_softmax(1))
    assert bool(found.isfinite().all())
    assert not found[:, DEAD].any()


@pytest.mark.parametrize("affine", [True, False])
def test_layer_norm(affine: bool) -> None:
    x = noise(2, 3, 8)
    weight, bias = (noise(8, seed=1), noise(8, seed=2)) if affine else (None, None)
    arguments = (x, [8], weight, bias, 1e-5)
    found = masked.call(aten.native_layer_norm.default, arguments, {}, [mask(2, 3)])[0]
    parameters = [None if p is None else p[LIVING] for p in (weight, bias)]
    expected = functional.layer_norm(x[..., LIVING], [4], parameters[0], parameters[1])
    torch.testing.assert_close(found[..., LIVING], expected)


def test_rms_norm() -> None:
    x, weight = noise(2, 3, 8), noise(8, seed=1)
    found = masked.call(aten._fused_rms_norm.default, (x, [8], weight, None), {}, [mask(2, 3)])[0]
    expected = functional.rms_norm(x[..., LIVING], [4], weight[LIVING])
    torch.testing.assert_close(found[..., LIVING], expected)


@pytest.mark.parametrize(("groups", "kept"), [(1, [0, 2, 3, 6]), (1, [7]), (2, [0, 2, 5, 6])])
def test_group_norm(groups: int, kept: list[int]) -> None:
    """Equally many living channels in each group, as the cut network needs."""
    x, weight, bias = noise(2, 8, 3, 4), noise(8, seed=1), noise(8, seed=2)
    lives = torch.zeros(1, 8, 1, 1, dtype=torch.bool)
    lives[:, kept] = True
    arguments = (x, weight, bias, 2, 8, 12, groups, 1e-5)
    found = masked.call(aten.native_group_norm.default, arguments, {}, [lives])[0]
    expected = functional.group_norm(x[:, kept], groups, weight[kept], bias[kept])
    torch.testing.assert_close(found[:, kept], expected)


def test_products_leave_dead_positions_of_both_operands_out() -> None:
    a, b = noise(3, 8), noise(8, 4, seed=1)
    found = masked.call(aten.mm.default, (a, b), {}, [mask(1, 2), None])
    torch.testing.assert_close(found, a[:, LIVING] @ b[LIVING])
    found = masked.call(aten.addmm.default, (noise(4), a, b), {}, [None, None, mask(0, 2)])
    torch.testing.assert_close(found, noise(4) + a[:, LIVING] @ b[LIVING])


def test_convolution_leaves_out_what_is_not_a_number() -> None:
    x, weight = noise(1, 8, 5, 5), noise(4, 8, 3, 3, seed=1)
    x[:, DEAD] = torch.nan
    weight[:, DEAD] = 0
    arguments = (x, weight, None, [1, 1], [1, 1], [1, 1], False, [0, 0], 1)
    found = masked.call(aten.convolution.default, arguments, {}, [mask(1, 4), None])
    torch.testing.assert_close(found, functional.conv2d(x[:, LIVING], weight[:, LIVING], padding=1))


class Standardised(nn.Module):
    """Divides by a deviation without an epsilon: zero by zero where a channel is dead."""

    def __init__(self) -> None:
        super().__init__()
        self.head = nn.Conv2d(3, 8, 3, padding=1)
        self.tail = nn.Conv2d(8, 3, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        y = self.head(x)
        return self.tail(y / y.std((2, 3), keepdim=True) * y.amax((2, 3), keepdim=True))


def test_a_division_by_a_dead_channel_does_not_spoil_the_proof() -> None:
    channels = analyse(Standardised(), sample_inputs(3, 8, 8))
    assert [g.name for g in channels.prunable] == ["head.weight"]
