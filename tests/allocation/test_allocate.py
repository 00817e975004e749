"""The largest choice within a budget, by scores, ties, rounding and protection."""

import numpy as np
import pytest

from espalier.allocation import Budget, allocate, strategies, strategy, units
from espalier.channels import Channels, analyse, sample_inputs
from espalier.errors import PlanError
from espalier.importance import scores
from espalier.networks.load import load
from tests import zoo

NAMES = ("edsr", "imdn", "rfdn", "carn", "pan", "srresnet", "vdsr", "SAFMN", "SwinIR")


def scored(channels: Channels) -> dict[str, np.ndarray]:
    return scores("l2", channels.network, channels.prunable)


def share(channels: Channels, kind: str, kept: dict[str, list[int]]) -> float:
    """What stays of the cost, as a share."""
    names = channels.cost.names
    sizes = {g.name: g.channels for g in channels.groups}
    model = getattr(channels.cost, kind)
    whole = np.ones(len(names))
    return model(np.array([len(kept[n]) / sizes[n] if n in kept else 1.0 for n in names])) / model(whole)


def finest_step(channels: Channels, kind: str, kept: dict[str, list[int]]) -> float:
    """The least that giving one level back to some unit would add."""
    base = share(channels, kind, kept)
    steps = []
    for unit in units(channels.groups):
        grown = dict(kept)
        for group in unit.groups:
            if group.name not in kept:
                break
            more = len(kept[group.name]) + group.channels // unit.levels
            grown[group.name] = list(range(more))
        else:
            steps.append(share(channels, kind, grown) - base)
    return min(steps, default=0.0)


@pytest.mark.parametrize("by", ["global", "uniform"])
@pytest.mark.parametrize("text", ["macs=0.5", "params=0.5", "macs=0.8"])
@pytest.mark.parametrize("name", NAMES)
def test_the_budget_is_met_and_nothing_more_would_fit(name: str, text: str, by: str) -> None:
    channels, budget = zoo.channels(zoo.find(name)), Budget.parse(text)
    kept = allocate(channels, scored(channels), budget, by=by)
    found = share(channels, budget.kind, kept)
    assert found <= budget.value + 1e-12
    grain = finest_step(channels, budget.kind, kept)
    assert budget.value - found < max(0.01, grain)


@pytest.mark.parametrize("by", ["global", "uniform"])
def test_budgets_are_met_within_one_per_cent_where_channels_are_many(by: str) -> None:
    network = load("edsr(scale=2, blocks=4, channels=48)")
    channels = analyse(network.body, network.encode(sample_inputs(3, 12, 12)), prove=True)
    for value in (0.25, 0.5, 0.75):
        kept = allocate(channels, scored(channels), Budget("macs", value), by=by)
        assert value - 0.01 < share(channels, "macs", kept) <= value


def test_the_ratio_counts_channels() -> None:
    channels = zoo.channels(zoo.find("edsr"))
    kept = allocate(channels, scored(channels), Budget("ratio", 0.5), by="uniform")
    sizes = {g.name: g.channels for g in channels.prunable}
    assert {n: len(k) / sizes[n] for n, k in kept.items()} == dict.fromkeys(sizes, 0.5)


def test_an_absolute_budget() -> None:
    channels = zoo.channels(zoo.find("edsr"))
    dense = channels.cost.params(np.ones(len(channels.cost.names)))
    kept = allocate(channels, scored(channels), Budget("params", 8000))
    assert 0.9 * 8000 < share(channels, "params", kept) * dense <= 8000


def test_a_budget_above_the_network_leaves_it_whole() -> None:
    channels = zoo.channels(zoo.find("edsr"))
    assert allocate(channels, scored(channels), Budget("params", 1e9)) == {}


def test_the_lowest_scores_go() -> None:
    channels = zoo.channels(zoo.find("edsr"))
    found = scored(channels)
    kept = allocate(channels, found, Budget("macs", 0.5))
    for name, channels_kept in kept.items():
        gone = set(range(len(found[name]))) - set(channels_kept)
        assert min(found[name][channels_kept]) >= max(found[name][list(gone)])
        assert channels_kept == sorted(channels_kept)


def test_global_takes_from_the_group_that_matters_least() -> None:
    channels = zoo.channels(zoo.find("edsr"))
    found = {g.name: np.ones(g.channels) for g in channels.prunable}
    weak = "body.0.body.0.weight"
    found[weak] = np.array([1e-3] * 9 + [1.0] * 3)
    kept = allocate(channels, found, Budget("macs", 0.9), by="global")
    assert len(kept[weak]) <= 5
    assert set(kept[weak]) >= {9, 10, 11}


def test_scores_of_different_size_compare_by_their_share() -> None:
    channels = zoo.channels(zoo.find("edsr"))
    found = scored(channels)
    scaled = {name: values * 10.0**k for k, (name, values) in enumerate(found.items())}
    budget = Budget("macs", 0.5)
    assert allocate(channels, found, budget) == allocate(channels, scaled, budget)


def test_tied_groups_keep_equally_many_by_their_own_scores() -> None:
    channels = zoo.channels(zoo.find("carn"))
    kept = allocate(channels, scored(channels), Budget("macs", 0.5))
    for unit in units(channels.groups):
        shares = {len(kept.get(g.name, range(g.channels))) / g.channels for g in unit.groups}
        assert len(shares) == 1
    plan = channels.plan(kept)
    assert channels.check({c.group: list(c.kept) for c in plan.choices}).equal


@pytest.mark.parametrize("round_to", [2, 4])
def test_counts_are_round_where_a_group_is_cut(round_to: int) -> None:
    channels = zoo.channels(zoo.find("edsr"))
    kept = allocate(channels, scored(channels), Budget("macs", 0.5), round_to=round_to)
    assert kept
    assert all(len(channels_kept) % round_to == 0 for channels_kept in kept.values())


def test_rounding_that_binds_too_much_is_told() -> None:
    channels = zoo.channels(zoo.find("edsr"))
    with pytest.raises(PlanError, match=r"cannot be met.*--round-to"):
        allocate(channels, scored(channels), Budget("macs", 0.5), round_to=64)


def test_protected_layers_stay_whole() -> None:
    channels = zoo.channels(zoo.find("edsr"))
    kept = allocate(channels, scored(channels), Budget("macs", 0.7), protect=["head.*", "body.1.*"])
    touched = {m.tensor for name in kept for m in channels.group(name).members}
    assert touched
    assert not any(tensor.startswith(("head.", "body.1.")) for tensor in touched)


def test_everything_protected_leaves_nothing_to_prune() -> None:
    channels = zoo.channels(zoo.find("edsr"))
    with pytest.raises(PlanError, match="no channel group of this network can be pruned"):
        allocate(channels, scored(channels), Budget("macs", 0.7), protect=["*"])


@pytest.mark.parametrize("kind", ["macs", "params"])
def test_an_impossible_budget_names_the_least_possible(kind: str) -> None:
    channels = zoo.channels(zoo.find("edsr"))
    with pytest.raises(
        PlanError, match=rf"the budget {kind}=0.001 cannot be met: .* allow 0\.0\d\d of the dense {kind}"
    ):
        allocate(channels, scored(channels), Budget(kind, 0.001))


def test_every_group_keeps_at_least_one_channel() -> None:
    channels = zoo.channels(zoo.find("rfdn"))
    kept = allocate(channels, scored(channels), Budget("macs", 0.05))
    assert min(len(k) for k in kept.values()) >= 1
    assert channels.check(kept).equal


def test_strategies_are_found_by_file_and_an_unknown_one_is_refused() -> None:
    assert {"global", "uniform"} <= set(strategies())
    assert not {"budget", "units"} & set(strategies())
    with pytest.raises(PlanError, match=r"there is no allocation 'greedy'; choose one of .*global"):
        strategy("greedy")
