"""Random small networks: what is offered holds for every cut, and nothing is held back without need."""

import random

import pytest
import torch
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from torch import nn

from espalier.channels import analyse, sample_inputs, units_of
from tests import zoo
from tests.channels.blocks import BLOCKS, Block, Chain

CHAINS = st.lists(st.sampled_from(BLOCKS), min_size=1, max_size=5)
QUICK = settings(
    max_examples=100,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=list(HealthCheck),
    phases=[Phase.explicit, Phase.generate],  # to shrink takes minutes, and the networks are small already
)
LONG = settings(QUICK, max_examples=2000)


def network(kinds: list[type[Block]], data: st.DataObject) -> nn.Module:
    torch.manual_seed(0)
    return Chain(kinds, lambda choices: choices[data.draw(st.integers(0, len(choices) - 1))]).eval()


def hold(body: nn.Module, seed: int) -> None:
    """Any cut of all proven groups, and of one unit alone, equals its mask; every weight can shrink."""
    channels = analyse(body, sample_inputs(3, 8, 8))
    units = units_of(channels.prunable)
    one = random.Random(seed).choice(units)
    for chosen in (units, [one]):
        reason = channels.check(zoo.any_cut(chosen, seed)).reason
        assert reason == "", [g.name for unit in chosen for g in unit.groups][:3]
    assert channels.unknown == []
    assert {g.name: g.reason for g in channels.groups if g.status == "rigid"} == {}
    assert whole_weights(body, {m.tensor for g in channels.prunable for m in g.members}) == []


def whole_weights(body: nn.Module, slots: set[str]) -> list[str]:
    return [
        name for name, p in body.named_parameters() if p.ndim > 1 and p.shape[1] > 2 and name not in slots
    ]


@QUICK
@given(kinds=CHAINS, data=st.data(), seed=st.integers(0, 10**6))
def test_random_networks(kinds: list[type[Block]], data: st.DataObject, seed: int) -> None:
    hold(network(kinds, data), seed)


@pytest.mark.slow
@LONG
@given(kinds=CHAINS, data=st.data(), seed=st.integers(0, 10**6))
def test_many_random_networks(kinds: list[type[Block]], data: st.DataObject, seed: int) -> None:
    hold(network(kinds, data), seed)


@pytest.mark.parametrize("kind", BLOCKS)
@pytest.mark.parametrize("seed", range(3))
def test_each_block_alone(kind: type[Block], seed: int) -> None:
    torch.manual_seed(seed)
    hold(Chain([kind], random.Random(seed).choice).eval(), seed)
