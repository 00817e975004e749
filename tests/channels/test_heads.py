"""Attention heads that go whole: the cut equals its mask, the networks' own code runs with fewer, and it reloads."""

import random
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from espalier.channels import ChannelGroup, Channels, analyse, sample_inputs, units_of
from espalier.channels.atoms import Atoms
from espalier.channels.heads import whole_heads
from espalier.channels.records import Trace
from espalier.networks.file import save
from espalier.networks.load import load
from espalier.surgery import apply_
from tests import foreign, zoo
from tests.channels.blocks import Attention, Chain, TransposedAttention

WIDTHS = {"DITN", "RGT", "GRL", "CRAFT", "ATD"}
"""Zoo networks where tiny layers have single heads, or no share of heads suits all: some may keep their widths."""


def heads_of(channels: Channels) -> list[ChannelGroup]:
    return [group for group in channels.prunable if group.pattern == "attention heads"]


def test_the_atoms_of_a_row_become_one() -> None:
    atoms = Atoms()
    grid = atoms.new(6).view(2, 3)
    rows = atoms.row_atoms(grid)
    classes = whole_heads(Trace(atoms)).atoms.resolve()
    assert classes.of(grid).tolist() == [[0, 0, 0], [3, 3, 3]]
    assert classes.of(rows).tolist() == [0, 3]
    assert classes.children == {}


@zoo.each(zoo.ATTENTION)
def test_heads_of_the_zoo_are_proven_and_reload(entry: zoo.Entry, tmp_path: Path) -> None:
    network = zoo.network(entry)
    channels = analyse(network.body, network.encode(zoo.image(entry)), heads=True)
    assert channels.share >= zoo.channels(entry).share - 0.02
    if entry.name not in WIDTHS:
        assert heads_of(channels)
        assert {g.name: g.reason for g in channels.groups if g.status == "rigid"} == {}
    units = units_of(channels.prunable)
    assert [channels.check(zoo.any_cut(units, seed)).reason for seed in (1, 2)] == ["", ""]
    plan = channels.plan(zoo.any_cut(units, 3))
    apply_(network.body, plan)
    network.plans = (plan,)
    save(network, tmp_path / "cut.safetensors")
    image = zoo.image(entry, seed=7)
    with torch.no_grad():
        assert torch.equal(load(tmp_path / "cut.safetensors")(image), network(image))


def test_a_head_of_swinir_takes_along_all_that_it_has_alone() -> None:
    network = zoo.network(zoo.find("SwinIR")).body
    channels = analyse(network, zoo.image(zoo.find("SwinIR")), heads=True)
    group = heads_of(channels)[0]
    attention = "layers.0.residual_group.blocks.0.attn."
    assert {(m.tensor.removeprefix(attention), m.dim): m.positions.shape for m in group.members} == {
        ("relative_position_bias_table", 1): (2, 1),
        ("qkv.weight", 0): (2, 18),
        ("qkv.bias", 0): (2, 18),
        ("proj.weight", 1): (2, 6),
    }
    unit = next(u for u in units_of(channels.prunable) if group in u.groups)
    assert {g.name: g.channels for g in unit.groups}["conv_first.weight"] == 12  # embedding = heads x width
    apply_(
        network, channels.plan(dict(zip((g.name for g in unit.groups), _first(unit.counts(1)), strict=True)))
    )
    assert network.get_submodule(attention[:-1]).num_heads == 1


def _first(counts: list[int]) -> list[list[int]]:
    return [list(range(count)) for count in counts]


@pytest.mark.parametrize("kind", [Attention, TransposedAttention])
@pytest.mark.parametrize("seed", range(6))
def test_heads_of_a_block(kind: type[Attention] | type[TransposedAttention], seed: int) -> None:
    torch.manual_seed(seed)
    body = Chain([kind], random.Random(seed).choice).eval()
    channels = analyse(body, sample_inputs(3, 8, 8), heads=True)
    assert {g.name: g.reason for g in channels.groups if g.status == "rigid"} == {}
    found = [g.channels for g in heads_of(channels)]
    assert found == [h for m in body.blocks if (h := getattr(m, "heads", 1)) > 1]
    assert channels.check(zoo.any_cut(units_of(channels.prunable), seed)).reason == ""


@pytest.mark.parametrize("entry", foreign.NETWORKS, ids=lambda e: e.reference.partition(":")[2])
def test_whole_heads_hold_nothing_back_in_foreign_networks(entry: foreign.Foreign) -> None:
    torch.manual_seed(0)
    network = load(entry.reference)
    channels = analyse(network.body, sample_inputs(3, 8, 12), heads=True)
    assert channels.share >= entry.share, {g.name: g.reason for g in channels.groups if not g.proven}
    assert channels.check(zoo.any_cut(units_of(channels.prunable), seed=3)).reason == ""


class Normed(nn.Module):
    """Queries of each head divided by their length, as in Swin2SR."""

    def __init__(self) -> None:
        super().__init__()
        self.heads = 3
        self.first, self.last = nn.Linear(5, 12), nn.Linear(12, 5)

    def forward(self, x: Tensor) -> Tensor:
        q = self.first(x).unflatten(-1, (self.heads, -1)).transpose(1, 2)
        return self.last(((nn.functional.normalize(q, dim=-1) @ q.mT) @ q).transpose(1, 2).flatten(2))


def test_heads_that_are_normed_keep_widths_of_their_own() -> None:
    channels = analyse(Normed(), torch.rand(1, 7, 5))
    assert [g.channels for g in channels.prunable] == [4, 4, 4]
    (group,) = heads_of(analyse(Normed(), torch.rand(1, 7, 5), heads=True))
    assert group.channels == 3


@pytest.mark.parametrize("name", ["rolled", "galerkin", "overlapping"])
def test_heads_go_whole_where_there_are_as_many_as_channels_in_one(name: str) -> None:
    torch.manual_seed(0)
    network = load(f"tests.foreign.coincidences:{name}")
    channels = analyse(network.body, sample_inputs(3, 16, 24), heads=True)
    assert channels.share >= 0.99
    assert channels.check(zoo.any_cut(units_of(channels.prunable), 1)).reason == ""
