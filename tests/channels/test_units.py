import numpy as np
import pytest

from espalier.channels import ChannelGroup, Unit, random_cut, units_of


def group(name: str, channels: int, tie: int = 0, status: str = "exact") -> ChannelGroup:
    return ChannelGroup(name, channels, (), np.arange(channels), tie, status)


def test_groups_with_one_tie_are_one_unit() -> None:
    units = units_of([group("a", 4, 1), group("b", 6, 2), group("c", 8, 1)])
    assert [[g.name for g in unit.groups] for unit in units] == [["a", "c"], ["b"]]


def test_tied_groups_keep_the_same_share() -> None:
    unit = Unit((group("a", 12), group("b", 8)))
    assert unit.levels == 4
    assert [unit.counts(level) for level in range(5)] == [[0, 0], [3, 2], [6, 4], [9, 6], [12, 8]]


@pytest.mark.parametrize(
    ("round_to", "steps"), [(1, [6, 5, 4, 3, 2, 1]), (2, [6, 4, 2]), (4, [6, 4]), (8, [6])]
)
def test_steps_are_multiples(round_to: int, steps: list[int]) -> None:
    assert Unit((group("a", 6),)).steps(round_to) == steps


def test_steps_round_the_largest_group() -> None:
    unit = Unit((group("heads", 6), group("stream", 24)))
    assert [unit.counts(level)[1] for level in unit.steps(8)] == [24, 16, 8]


def test_joined_units_hold_each_group_once() -> None:
    a, b = Unit((group("a", 4),)), Unit((group("b", 6),))
    assert [g.name for g in a.joined([b, a]).groups] == ["a", "b"]


def test_random_cuts_keep_something_of_everything_and_drop_the_ends() -> None:
    units = [
        Unit((group("a", 8),)),
        Unit((group("b", 2),)),
        Unit((group("c", 1),)),
        Unit((group("d", 3, 5),)),
    ]
    for seed in range(50):
        kept = random_cut(units, np.random.default_rng(seed))
        assert set(kept) == {"a", "b", "d"}
        assert 1 <= len(kept["a"]) <= 6
        assert not {0, 7} & set(kept["a"])
        assert len(kept["b"]) == 1
        assert kept["d"] == [1]
        assert all(values == sorted(set(values)) for values in kept.values())


def test_random_cuts_take_unequally_from_both_halves() -> None:
    """Code that needs equal halves must not be proven by a cut that leaves them equal."""
    unequal = 0
    for seed in range(50):
        kept = random_cut([Unit((group("a", 32),))], np.random.default_rng(seed))["a"]
        unequal += 2 * sum(k < 16 for k in kept) != len(kept)
    assert unequal > 45


def test_random_cuts_of_two_channels_try_both() -> None:
    tried = {random_cut([Unit((group("b", 2),))], np.random.default_rng(s))["b"][0] for s in range(20)}
    assert tried == {0, 1}
