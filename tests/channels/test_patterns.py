"""Patterns: every group of the zoo has one, and the composite blocks that papers draw are told apart."""

import dataclasses

import pytest
import torch
from torch.nn import functional

from espalier.channels import analyse
from espalier.channels.patterns import PATTERNS
from espalier.recipes import inspect
from tests import zoo
from tests.channels.micro import between, nn

NAMES = {name for name, _ in PATTERNS}

EXPECTED = {
    ("edsr", "head.0.weight"): "residual stream",
    ("edsr", "tail.0.0.weight"): "upsampler",
    ("imdn", "IMDB1.c1.weight"): "distillation split",
    ("imdn", "IMDB1.c1.weight#2"): "split",
    ("rfdn", "B1.c1_d.weight"): "concatenation",
    ("ESRGAN", "model.1.sub.0.RDB1.conv1.0.weight"): "dense block",
    ("RCAN", "body.0.body.0.body.3.conv_du.0.weight"): "channel attention",
    ("MoSR", "gblocks.1.fc1.weight"): "gate",
    ("MoESR", "blocks.0.msg.down.0.weight"): "patch merging",
    ("SwinIR", "conv_first.weight"): "residual stream",
    ("SwinIR", "layers.0.residual_group.blocks.0.mlp.fc1.weight"): "MLP",
    ("SwinIR", "layers.0.residual_group.blocks.1.attn.qkv.weight"): "window attention",
    ("SwinIR", "layers.0.residual_group.blocks.0.attn.relative_position_bias_table:1"): "attention heads",
    ("HAT", "layers.0.residual_group.overlap_attn.qkv.weight"): "window attention",
    ("IPT", "body.encoder.layers.0.self_attn.in_proj_weight"): "self-attention",
}  # fmt: skip


@zoo.each()
def test_every_group_has_a_pattern(entry: zoo.Entry) -> None:
    groups = zoo.channels(entry).groups
    assert {group.pattern for group in groups} <= NAMES
    assert all(group.pattern != "fixed" for group in groups if group.proven)


@pytest.mark.parametrize(("name", "group"), EXPECTED)
def test_composite_blocks_are_recognised(name: str, group: str) -> None:
    assert zoo.channels(zoo.find(name)).group(group).pattern == EXPECTED[name, group]


def test_inspect_shows_the_pattern(capsys: pytest.CaptureFixture[str]) -> None:
    inspect.command("edsr(scale=2, blocks=1, channels=4)", prove=False)
    assert "upsampler" in capsys.readouterr().out


def test_a_convolution_between_two_others_is_a_chain() -> None:
    channels = between(lambda net, x: functional.relu(net.conv(x)), conv=nn.Conv2d(8, 8, 3, padding=1))
    assert [channels.group(name).pattern for name in ("head.weight", "conv.weight")] == ["chain", "chain"]


def test_a_product_of_two_halves_is_a_gate() -> None:
    channels = between(lambda _, x: x.chunk(2, 1)[0] * x.chunk(2, 1)[1], width=8, out=4)
    assert channels.group("head.weight").pattern == "gate"


def test_an_attention_map_over_channels_is_transposed_attention() -> None:
    def attend(_: nn.Module, x: torch.Tensor) -> torch.Tensor:
        flat = x.flatten(2)
        return ((flat @ flat.transpose(1, 2)).softmax(-1) @ flat).view(x.shape)

    assert between(attend).group("head.weight").pattern == "transposed attention"


def test_class_names_do_not_matter() -> None:
    entry = zoo.find("RCAN")
    network = zoo.network(entry)
    for module in network.body.modules():
        if not type(module).__module__.startswith("torch."):
            module.__class__ = type("X", (type(module),), {})
    renamed = analyse(network.body, network.encode(zoo.image(entry)), prove=False)
    assert [g.pattern for g in renamed.groups] == [g.pattern for g in zoo.channels(entry).groups]


def test_patterns_stay_when_groups_are_proven() -> None:
    entry = zoo.find("edsr")
    network = zoo.network(entry)
    traced = analyse(network.body, network.encode(zoo.image(entry)), prove=False)
    proven = [dataclasses.replace(g, status="", reason="") for g in zoo.channels(entry).groups]
    assert [g.pattern for g in proven] == [g.pattern for g in traced.groups]
