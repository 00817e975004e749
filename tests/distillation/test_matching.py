"""Blocks of two networks side by side."""

import pytest
from torch import nn

from espalier.distillation.matching import Pair, pairs, read_pairs, sources, spread, trunk
from espalier.errors import NetworkError
from espalier.networks.load import load
from tests import zoo


def body(text: str) -> nn.Module:
    return load(text).body


FIVE, TWO, ONE = (body(f"srresnet(blocks={n}, channels=4, kernel=3)") for n in (5, 2, 1))


def test_the_trunk_is_the_longest_row() -> None:
    found = trunk(FIVE)
    assert found is not None
    assert (found.path, found.kind, len(found.blocks)) == ("blocks", "ResidualBlock", 5)
    assert found.blocks[1] == "blocks.1"
    assert trunk(nn.Conv2d(3, 3, 3)) is None


@pytest.mark.parametrize("entry", zoo.CONVOLUTIONAL, ids=lambda entry: entry.name)
def test_every_network_is_paired_with_itself(entry: zoo.Entry) -> None:
    network = zoo.network(entry).body
    assert all(own == taught for own, taught in sources(network, network).items())
    if trunk(network) is not None:
        assert all(pair.student == pair.teacher for pair in pairs(network, network))


@pytest.mark.parametrize(
    ("count", "whole", "expected"), [(1, 5, [2]), (2, 5, [1, 3]), (5, 5, [0, 1, 2, 3, 4]), (3, 2, [0, 1, 1])]
)
def test_spread(count: int, whole: int, expected: list[int]) -> None:
    assert spread(count, whole) == expected


def test_fewer_blocks_begin_as_evenly_spaced_ones() -> None:
    assert sources(TWO, FIVE) == {"blocks.0": "blocks.1", "blocks.1": "blocks.3"}
    assert sources(ONE, FIVE) == {"blocks.0": "blocks.2"}  # found at the teacher's place, though alone there


def test_pairs_end_where_the_same_share_is_done() -> None:
    assert pairs(TWO, FIVE) == (Pair("blocks.0", "blocks.1"), Pair("blocks.1", "blocks.4"))
    assert pairs(ONE, FIVE) == (Pair("blocks.0", "blocks.4"),)
    assert [p.teacher for p in pairs(FIVE, TWO)] == ["blocks.0", "blocks.0", "blocks.1", "blocks.1"]
    assert [p.student for p in pairs(FIVE, FIVE, most=2)] == ["blocks.1", "blocks.4"]


def test_across_architectures() -> None:
    other = body("edsr(scale=4, blocks=3, channels=4)")
    assert [p.teacher for p in pairs(other, FIVE)] == ["blocks.1", "blocks.2", "blocks.4"]


def test_named_pairs() -> None:
    assert read_pairs("blocks.1=blocks.4, fuse", TWO, FIVE) == (
        Pair("blocks.1", "blocks.4"),
        Pair("fuse", "fuse"),
    )
    with pytest.raises(NetworkError, match=r"the student has no layer 'blocks.4'"):
        read_pairs("blocks.4", TWO, FIVE)
    with pytest.raises(NetworkError, match=r"the teacher has no layer 'fused', did you mean 'fuse'"):
        read_pairs("fuse=fused", TWO, FIVE)


def test_without_blocks_one_must_name_layers() -> None:
    with pytest.raises(NetworkError, match="name pairs of layers"):
        pairs(nn.Conv2d(3, 3, 3), FIVE)
