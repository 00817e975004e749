"""Surgery against masking, for every network of the zoo: what a group promises holds for any of its cuts."""

from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from espalier.channels import Channels, Unit, units_of
from espalier.networks.file import save
from espalier.networks.load import load
from espalier.networks.network import Network
from espalier.surgery import apply_
from tests import zoo

ALONE = 8
"""Units of each network that are cut alone; all of them in the slow test."""

WHOLE = {
    ("quicksrnet-anchor", "anchor.net.weight"): "from the input's colours straight to the output's",
    ("SwiftSRGAN", "initial.cnn.depthwise.weight"): "one filter for each colour of the input",
    (
        "RealPLKSR-dysample",
        "to_img.end_conv.weight",
    ): "works on the input's repeated colours, gives the output's",
    ("RealPLKSR-dysample", "to_img.offset.weight"): "coordinates for the sampling",
    ("RealPLKSR-dysample", "to_img.scope.weight"): "coordinates for the sampling",
}
"""Weights that no cut can shrink, and why."""


def fails(channels: Channels, units: Iterable[Unit], seed: int) -> str:
    """What is wrong with a random cut of these units; "" if nothing."""
    return channels.check(zoo.any_cut(units, seed)).reason


@zoo.each()
def test_random_cuts_of_all_proven_groups_together_equal_their_masks(entry: zoo.Entry) -> None:
    channels = zoo.channels(entry)
    units = units_of(channels.prunable)
    assert units
    assert [fails(channels, units, seed) for seed in (1, 2, 3)] == ["", "", ""]


@zoo.each()
def test_each_unit_may_be_cut_alone(entry: zoo.Entry) -> None:
    units = units_of(zoo.channels(entry).prunable)
    chosen = np.random.default_rng(4).permutation(len(units))[:ALONE]
    assert alone_wrong(zoo.channels(entry), [units[k] for k in chosen]) == {}


@pytest.mark.slow
@zoo.each()
def test_every_unit_may_be_cut_alone(entry: zoo.Entry) -> None:
    assert alone_wrong(zoo.channels(entry), units_of(zoo.channels(entry).prunable)) == {}


def alone_wrong(channels: Channels, units: Iterable[Unit]) -> dict[str, str]:
    reasons = {unit.groups[0].name: fails(channels, [unit], seed=5) for unit in units}
    return {name: reason for name, reason in reasons.items() if reason}


@zoo.each()
def test_a_cut_network_reloads_to_equal_outputs(entry: zoo.Entry, tmp_path: Path) -> None:
    network, image = cut(entry), zoo.image(entry, seed=7)
    save(network, tmp_path / "cut.safetensors")
    again = load(tmp_path / "cut.safetensors")
    with torch.no_grad():
        expected, found = network(image), again(image)
    assert expected.shape == (1, 3, entry.scale * image.shape[-2], entry.scale * image.shape[-1])
    assert torch.equal(found, expected)
    assert again.plans == network.plans


def cut(entry: zoo.Entry) -> Network:
    """The network after a random cut of all its proven groups."""
    channels = zoo.channels(entry)
    plan = channels.plan(zoo.any_cut(units_of(channels.prunable), 6))
    network = zoo.network(entry)
    before = count(network)
    apply_(network.body, plan)
    assert count(network) < before
    network.plans = (plan,)
    return network


def count(network: nn.Module) -> int:
    return sum(p.numel() for p in network.parameters())


@zoo.each(zoo.CONVOLUTIONAL)
def test_every_weight_of_a_convolutional_network_can_shrink(entry: zoo.Entry) -> None:
    channels = zoo.channels(entry)
    slots = {m.tensor for group in channels.prunable for m in group.members}
    weights = {name for name, p in channels.network.named_parameters() if p.ndim > 1 and p.numel() > 1}
    assert weights - slots == {tensor for name, tensor in WHOLE if name == entry.name}
    assert {g.name: g.reason for g in channels.groups if g.status == "rigid"} == {}
    assert channels.unknown == []


@zoo.each()
def test_a_group_of_the_image_itself_is_pinned_with_its_reason(entry: zoo.Entry) -> None:
    for group in zoo.channels(entry).groups:
        assert group.status in ("exact", "normalised", "rigid", "pinned")
        assert bool(group.reason) == (not group.proven)


@zoo.each([zoo.find(name) for name in ("edsr", "carn", "imdn", "RealPLKSR", "SwinIR")])
def test_proof_leaves_the_network_as_it_was(entry: zoo.Entry) -> None:
    state = zoo.network(entry).body.state_dict()
    shared = zoo.channels(entry).network
    assert not shared.training
    assert all(torch.equal(value, state[name]) for name, value in shared.state_dict().items())


def sizes(name: str) -> dict[str, tuple[int, str]]:
    return {g.name: (g.channels, g.status) for g in zoo.channels(zoo.find(name)).groups}


def test_groups_of_edsr() -> None:
    assert sizes("edsr") == {
        "sub_mean.shift": (3, "pinned"),
        "head.0.weight": (12, "exact"),
        "head.0.weight:1": (3, "pinned"),
        "body.0.body.0.weight": (12, "exact"),
        "body.1.body.0.weight": (12, "exact"),
        "tail.0.0.weight": (12, "exact"),
        "tail.1.weight": (3, "pinned"),
    }


def test_members_of_the_upsampler_of_edsr_are_four_slices_per_channel() -> None:
    group = zoo.channels(zoo.find("edsr")).group("tail.0.0.weight")
    shapes = {(m.tensor, m.dim): m.positions.shape for m in group.members}
    assert shapes == {
        ("tail.0.0.weight", 0): (12, 4),
        ("tail.0.0.bias", 0): (12, 4),
        ("tail.1.weight", 1): (12, 1),
    }


def test_norms_over_channels_mark_groups_as_normalised() -> None:
    assert {status for _, status in sizes("srresnet").values()} == {
        "exact",
        "pinned",
    }  # BatchNorm: per channel
    groups = zoo.channels(zoo.find("RealPLKSR-layernorm")).prunable
    normalised = {group.name for group in groups if group.status == "normalised"}
    assert normalised == {"feats.0.weight"}


def test_imdn_splits_distilled_from_remaining_channels() -> None:
    found = sizes("imdn")
    assert found["IMDB1.c1.weight"] == (4, "exact")
    assert found["IMDB1.c1.weight#2"] == (12, "exact")


def test_grouped_convolutions_of_carn_keep_equally_many_channels_per_group() -> None:
    channels = zoo.channels(zoo.find("carn"))
    unit = next(u for u in units_of(channels.prunable) if u.groups[0].name == "b1.b1.body.2.weight")
    assert [group.channels for group in unit.groups] == [4] * 4
    assert unit.levels == 4


@pytest.mark.parametrize("name", ["SwinIR", "HAT"])
def test_attention_networks_shrink_outside_their_heads_at_least(name: str) -> None:
    proven = {m.tensor for group in zoo.channels(zoo.find(name)).prunable for m in group.members}
    assert any("mlp.fc1" in tensor or "ffn.fc1" in tensor for tensor in proven)
