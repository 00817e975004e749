"""Coded masks come back whole, at any length and sparsity; damaged ones are refused."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from espalier.networks.rice import DamagedMaskError, decode, encode


@settings(deadline=None)
@given(st.lists(st.booleans(), max_size=300))
def test_every_mask_comes_back(values: list[bool]) -> None:
    mask = np.array(values, bool)
    assert np.array_equal(decode(encode(mask), mask.size), mask)


@settings(deadline=None, max_examples=50)
@given(st.integers(0, 2**32 - 1), st.floats(0, 1), st.integers(1, 50_000))
def test_large_masks_of_any_sparsity_come_back(seed: int, share: float, size: int) -> None:
    mask = np.random.default_rng(seed).random(size) < share
    assert np.array_equal(decode(encode(mask), mask.size), mask)


@pytest.mark.parametrize("share", [0.01, 0.05, 0.1, 0.3, 0.38, 0.5, 0.62, 0.7, 0.9, 0.95, 0.99])
def test_the_code_is_near_the_entropy(share: float) -> None:
    mask = np.random.default_rng(0).random(200_000) < share
    entropy = -sum(p * math.log2(p) for p in (share, 1 - share))
    assert 0.99 * entropy < 8 * len(encode(mask)) / mask.size < 1.045 * entropy


@settings(deadline=None)
@given(st.binary(max_size=40), st.integers(0, 200))
def test_any_bytes_are_a_mask_or_refused(data: bytes, size: int) -> None:
    try:
        mask = decode(data, size)
    except DamagedMaskError:
        return
    assert mask.shape == (size,)


@pytest.mark.parametrize("share", [0.1, 0.5, 0.9])
def test_a_mask_cut_short_or_of_another_size_is_refused(share: float) -> None:
    mask = np.random.default_rng(0).random(1000) < share
    mask[-1], mask[0] = True, False
    mask[500] = mask[-2] = True
    data = encode(mask)
    for wrong in (data[:-1], data[:5], b"", data + b"\0"):
        with pytest.raises(DamagedMaskError):
            decode(wrong, 1000)
    with pytest.raises(DamagedMaskError, match="in 300"):
        decode(data, 300)
