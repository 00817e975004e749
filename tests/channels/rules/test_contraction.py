"""Convolutions, products and attention, each between two convolutions: what is grouped, what is pinned."""

from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from espalier.channels import units_of
from tests.channels.micro import WHOLE, assert_never_wrong, between, conv, plain, positions, summary


def test_grouped_convolution_keeps_its_groups_equal() -> None:
    channels = between(lambda n, x: n.conv(x), out=6, conv=conv(8, 6, groups=2))
    assert positions(channels, "head.weight", "head.weight", 0) == [[c, c + 4] for c in range(4)]
    unit = next(u for u in units_of(channels.prunable) if u.groups[0].name == "conv.weight")
    assert [g.channels for g in unit.groups] == [3, 3]


def test_depthwise_convolution_follows_its_channels() -> None:
    channels = between(lambda n, x: n.conv(x), conv=conv(8, 8, groups=8))
    assert summary(channels) == WHOLE
    assert positions(channels, "head.weight", "conv.weight", 0) == plain()
    plan = channels.plan({"head.weight": [0, 1, 5]})
    assert [(r.module, r.attribute, r.new) for r in plan.relinks] == [("conv", "groups", 3)]


def test_depthwise_convolution_with_a_multiplier() -> None:
    channels = between(lambda n, x: n.conv(x), out=16, conv=conv(8, 16, groups=8))
    assert_never_wrong(channels)
    assert channels.prunable


@pytest.mark.parametrize("more", [{"dilation": 2}, {"stride": 2}, {"bias": False}], ids=str)
def test_plain_convolutions_begin_new_groups(more: dict[str, Any]) -> None:
    channels = between(lambda n, x: n.conv(x), out=5, conv=conv(8, 5, **more))
    assert summary(channels) == WHOLE | {"conv.weight": (5, "exact")}


def test_transposed_convolution_stores_its_outputs_second() -> None:
    transposed = nn.ConvTranspose2d(8, 5, 4, stride=2, padding=1)
    channels = between(lambda n, x: n.up(x), out=5, up=transposed)
    assert positions(channels, "head.weight", "up.weight", 0) == plain()
    assert positions(channels, "up.weight:1", "up.bias", 0) == plain(5)


def test_grouped_transposed_convolution() -> None:
    channels = between(lambda n, x: n.up(x), up=nn.ConvTranspose2d(8, 8, 2, stride=2, groups=8))
    assert summary(channels) == WHOLE


def test_grouped_transposed_convolution_with_wider_groups_is_never_wrong() -> None:
    channels = between(lambda n, x: n.up(x), out=6, up=nn.ConvTranspose2d(8, 6, 2, stride=2, groups=2))
    assert channels.prunable
    assert_never_wrong(channels)


def test_one_dimensional_and_three_dimensional_convolutions() -> None:
    channels = between(lambda n, x: n.conv(x.flatten(2)).unflatten(2, (6, 8)), out=5, conv=nn.Conv1d(8, 5, 1))
    assert summary(channels) == WHOLE | {"conv.weight": (5, "exact")}
    channels = between(lambda n, x: n.conv(x.unsqueeze(2)).squeeze(2), out=5, conv=nn.Conv3d(8, 5, 1))
    assert summary(channels) == WHOLE | {"conv.weight": (5, "exact")}


def test_linear_layers_over_channels_last() -> None:
    def middle(n: Any, x: Tensor) -> Tensor:
        return n.second(n.first(x.movedim(1, -1)).relu()).movedim(-1, 1)

    channels = between(middle, first=nn.Linear(8, 12), second=nn.Linear(12, 8))
    assert summary(channels) == WHOLE | {"first.weight": (12, "exact"), "second.weight": (8, "exact")}


def test_einsum_and_matmul_with_a_plain_parameter() -> None:
    channels = between(
        lambda n, x: torch.einsum("bchw,cd->bdhw", x, n.mix), out=5, mix=nn.Parameter(torch.randn(8, 5))
    )
    assert summary(channels) == {"mix": (8, "exact"), "mix:1": (5, "exact")}
    assert positions(channels, "mix", "head.weight", 0) == plain()


def test_attention_heads_keep_equally_many_channels() -> None:
    channels = between(lambda n, x: n.attention(x), attention=Attention())
    found = {g.name: (g.channels, g.status) for g in channels.groups}
    assert found["head.weight"] == (8, "exact")
    assert_never_wrong(channels)
    assert channels.share > 0.95


class Attention(nn.Module):
    """Two heads over tokens; the number of heads is remembered, their width follows."""

    def __init__(self) -> None:
        super().__init__()
        self.heads = 2
        self.q, self.k, self.v = (nn.Linear(8, 12) for _ in range(3))
        self.out = nn.Linear(12, 8)

    def forward(self, x: Tensor) -> Tensor:
        tokens = x.flatten(2).transpose(1, 2)
        q, k, v = (
            layer(tokens).unflatten(2, (self.heads, -1)).transpose(1, 2) for layer in (self.q, self.k, self.v)
        )
        mixed = (q @ k.transpose(-2, -1)).softmax(-1) @ v
        return (
            self.out(mixed.transpose(1, 2).flatten(2)).transpose(1, 2).reshape(x.shape[0], -1, *x.shape[2:])
        )


def test_fused_attention() -> None:
    class Fused(Attention):
        def forward(self, x: Tensor) -> Tensor:
            tokens = x.flatten(2).transpose(1, 2)
            q, k, v = (
                layer(tokens).unflatten(2, (self.heads, -1)).transpose(1, 2)
                for layer in (self.q, self.k, self.v)
            )
            mixed = functional.scaled_dot_product_attention(q, k, v, scale=1.0)
            return self.out(mixed.transpose(1, 2).flatten(2)).transpose(1, 2).reshape(x.shape)

    channels = between(lambda n, x: n.attention(x), attention=Fused())
    assert channels.unknown == []
    assert_never_wrong(channels)


def test_channel_attention_contracts_over_tokens() -> None:
    def middle(n: Any, x: Tensor) -> Tensor:
        flat = x.flatten(2)
        weights = (n.q(x).flatten(2) @ n.k(x).flatten(2).transpose(1, 2)).softmax(-1)
        return (weights @ flat).unflatten(2, x.shape[2:])

    channels = between(middle, q=conv(8, 8), k=conv(8, 8))
    assert channels.unknown == []
    assert_never_wrong(channels)
    assert {g.status for g in channels.groups if g.name == "head.weight"} == {"normalised"}


def test_query_heads_that_share_keys_and_values() -> None:
    def middle(n: Any, x: Tensor) -> Tensor:
        tokens = x.flatten(2).transpose(1, 2)
        q, k, v = (
            p(tokens).view(1, 48, heads, -1).transpose(1, 2) for p, heads in ((n.q, 4), (n.k, 2), (n.v, 2))
        )
        y = functional.scaled_dot_product_attention(q, k, v, scale=0.5, enable_gqa=True)
        return n.back(y.transpose(1, 2).flatten(2)).transpose(1, 2).reshape(x.shape)

    layers = {"q": nn.Linear(8, 24), "k": nn.Linear(8, 12), "v": nn.Linear(8, 12), "back": nn.Linear(24, 8)}
    channels = between(middle, **layers)
    proven = {m.tensor for g in channels.prunable for m in g.members}
    assert {"q.weight", "k.weight", "v.weight", "back.weight"} <= proven


def test_distances_and_products_with_vectors_sum_over_channels() -> None:
    def middle(n: Any, x: Tensor) -> Tensor:
        a, b = (p(x).flatten(2).transpose(1, 2) for p in (n.a, n.b))
        return x * torch.cdist(a, b).mean() + n.matrix.mv(x.mean((0, 2, 3))).dot(n.vector)

    more = {"matrix": nn.Parameter(torch.randn(5, 8)), "vector": nn.Parameter(torch.randn(5))}
    channels = between(middle, a=conv(8, 6), b=conv(8, 6), **more)
    assert channels.unknown == []
    assert sorted(g.channels for g in channels.prunable) == [5, 6, 8]
