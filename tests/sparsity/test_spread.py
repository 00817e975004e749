"""Masks prune exactly as many weights as asked, however the sparsity is spread."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from espalier.errors import PlanError
from espalier.sparsity import SPREADS, apply_, choose, sparsity, weights
from espalier.sparsity.schedule import Cubic
from tests import zoo


def scores(seed: int = 0) -> dict[str, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    shapes = {"a": (8, 3, 3, 3), "b": (40, 8, 3, 3), "c": (5, 40)}
    return {name: torch.rand(shape, generator=generator) + 0.1 for name, shape in shapes.items()}


@pytest.mark.parametrize("spread", SPREADS)
@settings(deadline=None, max_examples=30)
@given(share=st.floats(0, 0.999), seed=st.integers(0, 99))
def test_the_sparsity_is_hit_to_the_weight(spread: str, share: float, seed: int) -> None:
    found = scores(seed)
    total = sum(score.numel() for score in found.values())
    masks = choose(found, share, spread)
    assert sum(int((~mask).sum()) for mask in masks.values()) == round(share * total)
    assert all(masks[name].shape == score.shape for name, score in found.items())


@pytest.mark.parametrize("spread", SPREADS)
def test_equal_scores_are_pruned_in_order(spread: str) -> None:
    equal = {name: torch.ones_like(score) for name, score in scores().items()}
    masks = choose(equal, 0.5, spread)
    for name, mask in masks.items():
        flat = mask.flatten().tolist()
        assert flat == sorted(flat) or spread == "lamp", name
    again = choose(equal, 0.5, spread)
    assert all(torch.equal(masks[name], again[name]) for name in masks)
    assert sparsity(masks) == pytest.approx(0.5, abs=1e-3)


def test_the_lowest_go() -> None:
    found = {"a": torch.tensor([[3.0, 1.0], [4.0, 2.0]]), "b": torch.tensor([[0.5, 9.0]])}
    assert choose(found, 0.5)["a"].tolist() == [[True, False], [True, False]]
    assert choose(found, 0.5)["b"].tolist() == [[False, True]]
    assert choose(found, 0.5, "layer")["a"].tolist() == [[True, False], [True, False]]


def test_lamp_against_its_definition_and_no_layer_vanishes() -> None:
    found = {name: score * 10**k for k, (name, score) in enumerate(scores().items())}
    values = found["c"].flatten().double() ** 2
    by_hand = torch.stack([v / values[values >= v].sum() for v in values])
    kept = choose(found, 0.9, "lamp")["c"].flatten()
    assert by_hand[kept].min() >= by_hand[~kept].max()
    assert all(mask.any() for mask in choose(found, 0.98, "lamp").values())
    assert not choose(found, 0.98)["a"].any()  # as a global threshold would do


def test_erk_gives_small_layers_more() -> None:
    found = scores()
    masks = choose(found, 0.9, "erk")
    density = {name: float(mask.float().mean()) for name, mask in masks.items()}
    expected = {n: sum(s.shape) / math.prod(s.shape) for n, s in found.items()}
    assert density["a"] / density["b"] == pytest.approx(expected["a"] / expected["b"], rel=0.02)
    assert density["c"] / density["b"] == pytest.approx(expected["c"] / expected["b"], rel=0.02)
    assert choose(found, 0.4, "erk")["a"].all()  # it would need more than all; the others give theirs


def test_wrong_words_and_numbers() -> None:
    with pytest.raises(PlanError, match="did you mean 'lamp'"):
        choose(scores(), 0.5, "lam")
    with pytest.raises(PlanError, match="out of range"):
        choose(scores(), 1.0)


@zoo.each()
def test_only_weights_of_layers_may_be_sparse_and_the_budget_holds(entry: zoo.Entry) -> None:
    network = zoo.network(entry)
    found = weights(network)
    assert all(weight.ndim >= 2 and name.endswith("weight") for name, weight in found.items())
    masks = choose({n: w.detach().abs() for n, w in found.items()}, 0.9)
    apply_(network, masks)
    zeros = sum(int((network.body.get_parameter(name) == 0).sum()) for name in masks)
    total = sum(mask.numel() for mask in masks.values())
    assert zeros / total == pytest.approx(0.9, abs=1e-3)
    fresh = dict(zoo.network(entry).body.named_parameters())
    changed = {n for n, p in network.body.named_parameters() if not torch.equal(p, fresh[n])}
    assert changed <= set(masks)


def test_frozen_tied_and_protected_weights_stay_dense() -> None:
    network = torch.nn.Sequential(torch.nn.Linear(4, 4), torch.nn.Linear(4, 4), torch.nn.Linear(4, 4))
    network[1].weight = network[0].weight
    network[2].weight.requires_grad_(False)
    assert list(weights(network)) == ["0.weight"]
    with pytest.raises(PlanError, match="no weight of this network may be sparse"):
        weights(network, ["0.*"])


def test_the_schedule_rises_from_nothing_to_the_whole() -> None:
    rising = Cubic(0.8, 10)
    values = [rising.at(step) for step in range(14)]
    assert values[0] == 0
    assert values[10:] == [0.8] * 4
    assert values == sorted(values)
    assert values[5] == pytest.approx(0.8 - 0.8 / 8)
    assert Cubic(0.8, 0).at(0) == 0.8
