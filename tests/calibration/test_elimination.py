import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from espalier.calibration import elimination
from espalier.calibration.elimination import Consumer, eliminate


def consumer(inputs: torch.Tensor, weights: torch.Tensor, width: int = 1) -> Consumer:
    columns = torch.arange(inputs.shape[1]).view(-1, width)
    return Consumer((inputs.T @ inputs / len(inputs)).double(), weights.double(), columns)


def refitted_error(c: Consumer, kept: list[int]) -> float:
    """By an ordinary solve over the columns that are kept."""
    own = c.columns[kept].flatten()
    cross = c.weights @ c.moments[:, own]
    solved = torch.linalg.lstsq(c.moments[own][:, own], cross.T, driver="gelsd").solution.T
    return float((c.weights @ c.moments * c.weights).sum() - (solved * cross).sum())


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 10**6), st.sampled_from([1, 3]))
def test_the_damage_is_the_error_that_refitting_leaves(seed: int, width: int) -> None:
    torch.manual_seed(seed)
    c = consumer(torch.randn(300, 12) @ torch.randn(12, 12), torch.randn(4, 12), width)
    found = eliminate([c], damping=1e-12)
    assert sorted(found.order.tolist()) == list(range(12 // width))
    for gone in range(1, 12 // width):
        expected = refitted_error(c, sorted(found.order[gone:].tolist()))
        np.testing.assert_allclose(found.damage[gone - 1], expected, rtol=1e-5, atol=1e-8)


def test_channels_that_others_replace_go_first_at_no_cost() -> None:
    torch.manual_seed(0)
    inputs = torch.randn(500, 6)
    inputs[:, 4] = inputs[:, 1]
    inputs[:, 5] = 2 * inputs[:, 0] - inputs[:, 2]
    found = eliminate([consumer(inputs, torch.randn(3, 6))], damping=1e-9)
    assert found.damage[1] < 1e-5
    assert found.damage[2] > 1e-2


def test_the_first_to_go_is_the_cheapest_over_all_consumers() -> None:
    torch.manual_seed(1)
    both = [consumer(torch.randn(500, 5), torch.randn(2, 5)) for _ in range(2)]
    alone = [sum(refitted_error(c, [k for k in range(5) if k != gone]) for c in both) for gone in range(5)]
    found = eliminate(both, damping=1e-12)
    assert found.order[0] == int(np.argmin(alone))
    np.testing.assert_allclose(found.damage[0], min(alone), rtol=1e-5)


def test_what_is_gathered_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    torch.manual_seed(2)
    c = consumer(torch.randn(300, 24) @ torch.randn(24, 24), torch.randn(4, 24), 3)
    late = eliminate([c])
    monkeypatch.setattr(elimination, "GATHERED", 1)
    at_once = eliminate([c])
    np.testing.assert_array_equal(late.order, at_once.order)
    np.testing.assert_allclose(late.damage, at_once.damage, rtol=1e-9)
