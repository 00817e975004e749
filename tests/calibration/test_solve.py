import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from espalier.calibration.solve import MIRRORED, Rows, factored, fit, gram, product


def drawn(
    seed: int, rows: int = 200, columns: int = 6, outputs: int = 3
) -> tuple[torch.Tensor, torch.Tensor]:
    torch.manual_seed(seed)
    return torch.randn(rows, columns), torch.randn(outputs, columns, dtype=torch.float64)


def test_weights_that_explain_all_are_found() -> None:
    inputs, weights = drawn(0)
    found = fit(Rows(inputs, inputs @ weights.T.float()), torch.zeros_like(weights))
    torch.testing.assert_close(found, weights, rtol=1e-3, atol=1e-4)


def test_dependent_columns_do_no_harm() -> None:
    inputs, weights = drawn(1)
    inputs[:, 3] = inputs[:, 2]
    found = fit(Rows(inputs, inputs @ weights.T.float()), torch.zeros_like(weights))
    assert Rows(inputs, inputs @ weights.T.float()).error(found) < 1e-6


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 10**6), st.booleans())
def test_held_out_rows_never_get_worse(seed: int, rectified: bool) -> None:
    inputs, weights = drawn(seed, rows=40)
    rows = Rows(inputs, torch.randn(40, 3), rectified)
    held = rows.split()[1]
    found = fit(rows, weights)
    assert rows.error(found) <= rows.error(weights) * 1.2
    assert torch.isfinite(found).all()
    assert held.error(weights) >= 0


def test_only_positive_parts_count_where_rectified() -> None:
    inputs, weights = drawn(2, rows=400)
    targets = (inputs @ weights.T.float()).relu()
    targets = torch.where(targets > 0, targets, -torch.rand_like(targets) * 9)
    plain, mended = (
        fit(Rows(inputs, targets, r), torch.zeros_like(weights), rounds=50) for r in (False, True)
    )
    rows = Rows(inputs, targets, True)
    assert rows.error(mended) < 0.2 * rows.error(plain)


def test_products_over_many_rows_keep_float64_sums() -> None:
    left = torch.full((100_000, 1), 0.1)
    exact = float(left[0, 0].double() ** 2 * 100_000)
    assert abs(float(product(left, left)) - exact) < 1e-4 * exact


def test_half_of_a_symmetric_product_gives_the_whole() -> None:
    rows = torch.randn(300, MIRRORED + 7)
    found = gram(rows)
    assert torch.equal(found, found.T)
    torch.testing.assert_close(found, product(rows, rows), rtol=1e-5, atol=1e-3)


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 10**6), st.booleans())
def test_the_error_of_a_rectified_output_is_that_of_its_positive_part(seed: int, added: bool) -> None:
    inputs, weights = drawn(seed, rows=50)
    targets, offset = torch.randn(50, 3), torch.randn(50, 3) * added
    given_ = inputs @ weights.T.float()
    expected = ((given_ + offset).relu() - (targets + offset).relu()).square().mean()
    found = Rows(inputs, targets, True, offset if added else None).error(weights)
    assert abs(found - float(expected)) <= 1e-5 * (1 + float(expected))


def test_moments_that_rounding_made_indefinite_are_damped_until_they_can_be_solved() -> None:
    moments = torch.ones(6, 6, dtype=torch.float64) - 1e-3 * torch.eye(6, dtype=torch.float64)
    factor = factored(moments, 1e-6)
    assert torch.linalg.cholesky_ex(moments + 1e-6 * torch.eye(6)).info != 0
    assert (factor @ factor.T - moments).abs().max() < 0.02
    assert factored(moments[:0, :0], 1e-6).shape == (0, 0)
