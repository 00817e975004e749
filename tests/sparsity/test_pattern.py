"""N:M masks keep N of every M inputs, along the axis over which a layer sums."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from espalier.errors import PlanError
from espalier.sparsity import Pattern
from espalier.sparsity.pattern import holds


@settings(deadline=None, max_examples=40)
@given(st.integers(1, 3), st.sampled_from([4, 8]), st.integers(1, 5), st.integers(0, 99))
def test_every_group_keeps_as_many_as_the_pattern_says(kept: int, of: int, groups: int, seed: int) -> None:
    pattern = Pattern(kept, of)
    scores = torch.rand((6, of * groups, 3, 3), generator=torch.Generator().manual_seed(seed))
    mask = pattern.mask(scores)
    assert holds(mask, pattern)
    assert 1 - mask.float().mean() == pytest.approx(pattern.sparsity)


def test_the_highest_stay() -> None:
    scores = torch.tensor([[1.0, 4.0, 3.0, 2.0, 5.0, 5.0, 5.0, 6.0]])
    assert Pattern(2, 4).mask(scores).int().tolist() == [[0, 1, 1, 0, 1, 0, 0, 1]]
    assert Pattern(1, 4).mask(scores).int().tolist() == [[0, 1, 0, 0, 0, 0, 0, 1]]


def test_axes_of_transposed_layers_and_layers_that_do_not_fit() -> None:
    body = nn.Sequential(nn.Conv2d(3, 8, 3), nn.Conv2d(8, 6, 3), nn.ConvTranspose2d(8, 5, 2), nn.Linear(4, 3))
    scores = {f"{k}.weight": body[k].weight.detach().abs() for k in range(4)}
    masks = Pattern.parse("2:4").masks(body, scores)
    assert sorted(masks) == ["1.weight", "2.weight", "3.weight"]
    assert holds(masks["2.weight"], Pattern(2, 4), axis=0)


@pytest.mark.parametrize("text", ["2/4", "4:4", "0:4", "two of four", "2:4:8"])
def test_other_words_are_refused(text: str) -> None:
    with pytest.raises(PlanError, match="cannot read the pattern"):
        Pattern.parse(text)
    assert str(Pattern.parse(" 2:4 ")) == "2:4"
