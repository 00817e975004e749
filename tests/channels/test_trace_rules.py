"""Each operator rule alone, between two convolutions: what it groups, what it pins."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from espalier.channels import Channels, add_rule, analyse, sample_inputs, units_of
from espalier.channels.rules import RULES
from espalier.channels.rules.elementwise import elementwise
from tests import zoo
from tests.channels.micro import Between, between, positions, summary

WHOLE = {"head.weight": (8, "exact")}
"""Eight channels that go one by one."""


def plain(channels: int = 8) -> list[list[int]]:
    return [[c] for c in range(channels)]


# Movement

KEEPS_EACH_CHANNEL: dict[str, Callable[[Any, Tensor], Tensor]] = {
    "clone": lambda _, x: x.clone().contiguous(),
    "detach": lambda _, x: x.detach(),
    "pad": lambda _, x: functional.pad(x, (1, 1, 1, 1)),
    "reflection pad": lambda _, x: functional.pad(x, (1, 1, 1, 1), mode="reflect"),
    "replication pad": lambda _, x: functional.pad(x, (1, 1, 1, 1), mode="replicate"),
    "roll over space": lambda _, x: torch.roll(x, (1, 2), (2, 3)),
    "flip over space": lambda _, x: x.flip(-1),
    "rot90": lambda _, x: torch.rot90(x, 1, (2, 3)),
    "squeeze": lambda _, x: x.unsqueeze(2).squeeze(2),
    "there and back": lambda _, x: (
        x.permute(0, 2, 3, 1).reshape(1, 48, -1).transpose(1, 2).reshape(1, -1, 6, 8)
    ),
    "tokens": lambda _, x: x.flatten(2).transpose(1, 2).transpose(1, 2).unflatten(2, (6, 8)),
    "slice of space": lambda _, x: x[:, :, 1:5, ::2],
    "strided space": lambda _, x: x[..., ::2, ::2],
    "index of space": lambda _, x: x[:, :, torch.tensor([0, 2, 4])],
    "index_select of space": lambda _, x: x.index_select(3, torch.tensor([1, 3])),
    "windows": lambda _, x: x.unfold(2, 2, 2).mean(-1),
    "rows halved and joined": lambda _, x: torch.cat(x.chunk(2, dim=2), dim=2),
    "stack and sum": lambda _, x: torch.stack([x, x], dim=1).sum(1),
    "stack and select": lambda _, x: torch.stack([x, x.relu()], dim=0)[1],
    "expand": lambda _, x: x.unsqueeze(1).expand(-1, 2, -1, -1, -1).mean(1),
    "repeat over space": lambda _, x: x.repeat(1, 1, 2, 1),
    "repeat_interleave over space": lambda _, x: x.repeat_interleave(2, dim=2),
    "im2col and col2im": lambda _, x: functional.fold(
        functional.unfold(x, 3, padding=1), (6, 8), 3, padding=1
    ),
    "space to channels and back": lambda _, x: functional.pixel_shuffle(functional.pixel_unshuffle(x, 2), 2),
    "written into zeros": lambda _, x: torch.zeros_like(x).add_(x),
    "in-place": lambda _, x: x.clone().mul_(2).add_(1).relu_(),
    "copy into a slice": lambda _, x: _written(x),
    "interpolate": lambda _, x: functional.interpolate(x, scale_factor=2, mode="nearest"),
    "bicubic": lambda _, x: functional.interpolate(x, size=(9, 7), mode="bicubic", align_corners=False),
    "bilinear": lambda _, x: functional.interpolate(x, scale_factor=2, mode="bilinear"),
    "average pool": lambda _, x: functional.avg_pool2d(x, 2),
    "max pool": lambda _, x: functional.max_pool2d(x, 3, stride=1, padding=1),
    "adaptive pool": lambda _, x: functional.adaptive_avg_pool2d(x, 2),
    "adaptive max pool": lambda _, x: functional.adaptive_max_pool2d(x, (2, 3)),
    "gate by space": lambda _, x: x * x.mean((2, 3), keepdim=True).sigmoid(),
    "gate by maximum": lambda _, x: x * x.amax((2, 3), keepdim=True),
    "gate by deviation": lambda _, x: x * x.std((2, 3), keepdim=True),
    "softmax over space": lambda _, x: x.flatten(2).softmax(-1).unflatten(2, (6, 8)),
    "cumsum over space": lambda _, x: x.cumsum(2),
    "clamp": lambda _, x: x.clamp(-1, 1),
    "where": lambda _, x: torch.where(x > 0, x, 0.1 * x),
    "masked_fill": lambda _, x: x.masked_fill(x > 0, 0.0),
    "elementwise functions": lambda _, x: x.sin() * x.exp() / (1 + x.abs()) - x.tanh().square().add(1).sqrt(),
    "gelu and friends": lambda _, x: (
        functional.silu(functional.gelu(x)) + functional.mish(x) + functional.elu(x)
    ),
    "dtype": lambda _, x: x.float().to(x.dtype),
    "added to its lerp": lambda _, x: torch.lerp(x, x.relu(), 0.3),
    "scalar": lambda _, x: x * torch.tensor(0.2, dtype=x.dtype),
    "a number for each pixel": lambda _, x: x + torch.ones(6, 8, dtype=x.dtype),
    "grid_sample": lambda _, x: functional.grid_sample(x, torch.zeros(1, 4, 4, 2).to(x), align_corners=False),
}


def _written(x: Tensor) -> Tensor:
    y = x.clone()
    y[:, :, 1:3] = x[:, :, 2:4].relu()
    return y


@pytest.mark.parametrize("name", KEEPS_EACH_CHANNEL)
def test_channels_stay_what_they_are(name: str) -> None:
    channels = between(KEEPS_EACH_CHANNEL[name])
    assert summary(channels) == WHOLE
    assert positions(channels, "head.weight", "tail.weight", 1) == plain()
    assert positions(channels, "head.weight", "head.bias", 0) == plain()
    assert channels.unknown == []


REDUCED_OVER_CHANNELS: dict[str, Callable[[Any, Tensor], Tensor]] = {
    "mean": lambda _, x: x * x.mean(1, keepdim=True),
    "sum": lambda _, x: x * x.sum(1, keepdim=True),
    "amax": lambda _, x: x * x.amax(1, keepdim=True),
    "max": lambda _, x: x * x.max(1, keepdim=True).values,
    "var": lambda _, x: x * x.var(1, keepdim=True),
    "norm": lambda _, x: functional.normalize(x, dim=1),
    "softmax": lambda _, x: x.softmax(1),
    "log_softmax": lambda _, x: x.log_softmax(1),
    "spatial attention": lambda n, x: x * n.gate(torch.cat([x.mean(1, True), x.amax(1, True)], 1)).sigmoid(),
    "everything": lambda _, x: x / (1 + x.mean()),
    "rms": lambda _, x: x * (x.square().mean(1, keepdim=True) + 1e-6).rsqrt(),
}
EXACT = {"sum", "norm"}
"""Zeros add nothing to these."""


@pytest.mark.parametrize("name", REDUCED_OVER_CHANNELS)
def test_reductions_over_channels(name: str) -> None:
    children = {"gate": nn.Conv2d(2, 1, 3, padding=1)} if name == "spatial attention" else {}
    channels = between(REDUCED_OVER_CHANNELS[name], **children)
    status = "exact" if name in EXACT else "normalised"
    assert summary(channels)["head.weight"] == (8, status)


def test_pixel_shuffle_takes_a_square_of_channels_for_one() -> None:
    channels = between(lambda _, x: functional.pixel_shuffle(x, 2), out=2)
    assert summary(channels) == {"head.weight": (2, "exact")}
    assert positions(channels, "head.weight", "head.weight", 0) == [[0, 1, 2, 3], [4, 5, 6, 7]]


def test_pixel_unshuffle_makes_a_square_of_channels_of_one() -> None:
    channels = between(lambda _, x: functional.pixel_unshuffle(x, 2), out=32)
    assert summary(channels) == WHOLE
    assert positions(channels, "head.weight", "tail.weight", 1)[1] == [4, 5, 6, 7]


def test_pixel_shuffle_written_out_as_views() -> None:
    def middle(_: nn.Module, x: Tensor) -> Tensor:
        b, c, h, w = x.shape
        y = x.view(b, c // 4, 2, 2, h, w).permute(0, 1, 4, 2, 5, 3)
        return y.reshape(b, c // 4, 2 * h, 2 * w)

    channels = between(middle, out=2)
    assert summary(channels) == {"head.weight": (2, "exact")}


def test_im2col_gives_each_channel_its_patch() -> None:
    channels = between(lambda _, x: functional.unfold(x, 2).unflatten(2, (5, 7)), out=32)
    assert positions(channels, "head.weight", "tail.weight", 1)[2] == [8, 9, 10, 11]


def test_cat_puts_channels_side_by_side() -> None:
    channels = between(lambda _, x: torch.cat([x, x.relu()], 1), out=16)
    assert positions(channels, "head.weight", "tail.weight", 1) == [[c, c + 8] for c in range(8)]


def test_cat_beside_the_image_keeps_the_image_whole() -> None:
    class Network(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.head = nn.Conv2d(3, 8, 3, padding=1)
            self.tail = nn.Conv2d(11, 3, 3, padding=1)

        def forward(self, x: Tensor) -> Tensor:
            return self.tail(torch.cat([x, self.head(x)], 1))

    channels = analyse(Network(), sample_inputs(3, 6, 8))
    assert positions(channels, "head.weight", "tail.weight", 1) == [[c + 3] for c in range(8)]


def test_repeat_ties_the_copies() -> None:
    channels = between(lambda _, x: x.repeat(1, 2, 1, 1), out=16)
    assert positions(channels, "head.weight", "tail.weight", 1) == [[c, c + 8] for c in range(8)]


def test_repeat_interleave_ties_the_copies() -> None:
    channels = between(lambda _, x: x.repeat_interleave(2, dim=1), out=16)
    assert positions(channels, "head.weight", "tail.weight", 1) == [[2 * c, 2 * c + 1] for c in range(8)]


def test_pieces_of_a_split_that_are_joined_again() -> None:
    channels = between(lambda _, x: torch.cat(x.split(4, dim=1), dim=1))
    assert summary(channels) == {"head.weight": (4, "exact"), "head.weight#2": (4, "exact")}


def test_equal_chunks_are_cut_by_equal_counts() -> None:
    channels = between(lambda _, x: x.chunk(2, 1)[0] * x.chunk(2, 1)[1], out=4)
    assert positions(channels, "head.weight", "head.weight", 0) == [[c, c + 4] for c in range(4)]
    channels = between(
        lambda n, x: n.a(x.chunk(2, 1)[0]) + n.b(x.chunk(2, 1)[1]), out=5, a=conv(4, 5), b=conv(4, 5)
    )
    tied = [unit for unit in units_of(channels.prunable) if len(unit.groups) == 2]
    assert [[g.channels for g in unit.groups] for unit in tied] == [[4, 4]]


def conv(inputs: int, outputs: int, **more: Any) -> nn.Conv2d:
    return nn.Conv2d(inputs, outputs, 3, padding=1, **more)


def test_halves_taken_by_slices_are_cut_by_equal_counts() -> None:
    channels = between(
        lambda n, x: n.a(x[:, : x.shape[1] // 2]) + n.b(x[:, x.shape[1] // 2 :]),
        out=5,
        a=conv(4, 5),
        b=conv(4, 5),
    )
    tied = [unit for unit in units_of(channels.prunable) if len(unit.groups) == 2]
    assert [[g.channels for g in unit.groups] for unit in tied] == [[4, 4]]
    assert_never_wrong(channels)


class Distilled(nn.Module):
    """A split at a size that the module remembers."""

    def __init__(self) -> None:
        super().__init__()
        self.sizes = (3, 5)
        self.conv = conv(5, 8)

    def forward(self, x: Tensor) -> Tensor:
        part, rest = torch.split(x, self.sizes, dim=1)
        return torch.cat([part, self.conv(rest)], 1)


def test_a_split_at_remembered_sizes_is_relinked() -> None:
    channels = between(lambda n, x: n.split(x), out=11, split=Distilled())
    assert summary(channels) == {
        "head.weight": (3, "exact"),
        "head.weight#2": (5, "exact"),
        "split.conv.weight": (8, "exact"),
    }
    plan = channels.plan({"head.weight": [0, 2], "head.weight#2": [1, 2, 3, 4]})
    assert [(r.attribute, r.path, r.old, r.new) for r in plan.relinks] == [
        ("sizes", (0,), 3, 2),
        ("sizes", (1,), 5, 4),
    ]


class Sliced(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.part = 3
        self.conv = conv(3, 3)

    def forward(self, x: Tensor) -> Tensor:
        return torch.cat([self.conv(x[:, : self.part]), x[:, self.part :]], 1)


def test_a_partial_convolution_is_relinked() -> None:
    channels = between(lambda n, x: n.part(x), part=Sliced())
    assert {g.status for g in channels.prunable} == {"exact"}
    assert channels.share > 0.98


def test_written_slices_keep_their_channels() -> None:
    def middle(n: Any, x: Tensor) -> Tensor:
        y = x.clone()
        y[:, : n.part.part] = n.part.conv(x[:, : n.part.part])
        return y

    channels = between(middle, part=Sliced())
    statuses = {(g.channels, g.status) for g in channels.groups if g.name.startswith("head.weight")}
    assert (5, "exact") in statuses or (3, "exact") in statuses  # `part` is another module's: proof decides
    assert_never_wrong(channels)


def assert_never_wrong(channels: Channels) -> None:
    for seed in range(4):
        for unit in units_of(channels.prunable):
            assert channels.check(zoo.any_cut([unit], seed)).reason == ""


def test_one_channel_taken_alone_stays() -> None:
    channels = between(lambda _, x: x + x[:, 2:3])
    statuses = {g.status for g in channels.groups if g.name.startswith("head.weight") and g.channels == 1}
    assert statuses == {"pinned"}
    assert_never_wrong(channels)


@pytest.mark.parametrize(
    "middle",
    [
        lambda _, x: torch.roll(x, 1, 1),
        lambda _, x: x[:, torch.tensor([3, 1, 2, 0, 4, 5, 7, 6])],
        lambda _, x: x.sort(1).values,
        lambda _, x: x.cumsum(1),
        lambda _, x: x + x.topk(8, 1).values,
        lambda _, x: x * x.argmax(1, keepdim=True),
        lambda _, x: x * torch.arange(8).to(x).view(1, 8, 1, 1),
        lambda _, x: x + torch.ones(8, 6, 8).to(x),
    ],
    ids=["roll", "index", "sort", "cumsum", "topk", "argmax", "numbers by position", "a full constant"],
)
def test_what_depends_on_the_order_of_channels_is_never_offered(
    middle: Callable[[Any, Tensor], Tensor],
) -> None:
    channels = between(middle)
    assert [g.name for g in channels.prunable] == []
    assert all(g.reason for g in channels.groups)


def test_coordinates_of_grid_sample_stay() -> None:
    def middle(n: Any, x: Tensor) -> Tensor:
        grid = n.offset(x).permute(0, 2, 3, 1)
        return functional.grid_sample(x, grid, align_corners=False)

    channels = between(middle, offset=conv(8, 2))
    assert summary(channels)["head.weight"] == (8, "exact")
    assert summary(channels)["offset.weight"] == (2, "pinned")
    assert "coordinates" in channels.group("offset.weight").reason


# Convolutions


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


# Products


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


# Norms


@pytest.mark.parametrize(
    ("norm", "status"),
    [
        (nn.BatchNorm2d(8), "exact"),
        (nn.InstanceNorm2d(8, affine=True), "exact"),
        (nn.GroupNorm(1, 8), "normalised"),
        (nn.GroupNorm(8, 8), "normalised"),
        (nn.PReLU(8), "exact"),
        (nn.PReLU(), "exact"),
    ],
    ids=lambda v: str(v),
)
def test_layers_with_a_parameter_per_channel(norm: nn.Module, status: str) -> None:
    channels = between(lambda n, x: n.norm(x), norm=norm)
    if not isinstance(norm, nn.GroupNorm) or norm.num_groups == 1:
        assert summary(channels)["head.weight"] == (8, status)
    assert_never_wrong(channels)


def test_groups_of_a_group_norm_lose_equally_many() -> None:
    channels = between(lambda n, x: n.norm(x), norm=nn.GroupNorm(2, 8))
    (unit,) = units_of(channels.prunable)
    assert [(g.channels, g.status) for g in unit.groups] == [(4, "normalised")] * 2


def test_layer_norm_over_channels_is_relinked() -> None:
    channels = between(lambda n, x: n.norm(x.movedim(1, -1)).movedim(-1, 1), norm=nn.LayerNorm(8))
    assert summary(channels) == {"head.weight": (8, "normalised")}
    assert channels.plan({"head.weight": [1, 2]}).relinks[0].new == 2


def test_rms_norm_over_channels() -> None:
    channels = between(lambda n, x: n.norm(x.movedim(1, -1)).movedim(-1, 1), norm=nn.RMSNorm(8))
    assert summary(channels) == {"head.weight": (8, "normalised")}


def test_scales_and_plain_parameters_follow_their_channels() -> None:
    scale = nn.Parameter(torch.ones(1, 8, 1, 1))
    channels = between(lambda n, x: x * n.scale + x, scale=scale)
    assert positions(channels, "scale:1", "head.weight", 0) == plain()


def test_tied_weights_are_one_tensor() -> None:
    shared = conv(8, 8)
    channels = between(lambda n, x: n.second(n.first(x).relu()), first=shared, second=shared)
    assert summary(channels) == WHOLE
    names = {m.tensor for m in channels.group("head.weight").members}
    assert {"first.weight", "second.weight"} <= names


def test_residual_streams_tie_their_writers() -> None:
    channels = between(lambda n, x: x + n.conv(x.relu()), conv=conv(8, 8))
    assert summary(channels) == WHOLE
    assert positions(channels, "head.weight", "conv.weight", 0) == plain()


def test_channel_shuffle_takes_the_same_channels_of_each_group() -> None:
    def middle(n: Any, x: Tensor) -> Tensor:
        b, c, h, w = x.shape
        return n.conv(x.view(b, 2, c // 2, h, w).transpose(1, 2).reshape(b, c, h, w))

    channels = between(middle, conv=conv(8, 8, groups=2))
    assert_never_wrong(channels)
    assert channels.prunable


def test_native_channel_shuffle() -> None:
    channels = between(lambda _, x: functional.channel_shuffle(x, 2))
    assert summary(channels) == {"head.weight": (4, "exact")}
    assert positions(channels, "head.weight", "head.weight", 0) == [[c, c + 4] for c in range(4)]
    assert_never_wrong(channels)


# What is not known


@torch.library.custom_op("espalier_tests::mystery", mutates_args=())
def mystery(x: Tensor) -> Tensor:
    """An operator that nothing knows about."""
    return x.flip(1) + 0


def test_an_unknown_operator_pins_what_it_touches_and_is_named_with_the_line() -> None:
    channels = between(lambda n, x: mystery(n.inner(x)), out=5, inner=conv(8, 5))
    assert summary(channels) == WHOLE | {"inner.weight": (5, "pinned"), "tail.weight:1": (5, "pinned")}
    (unknown,) = channels.unknown
    assert unknown.operator == "espalier_tests::mystery"
    assert "test_trace_rules.py:" in unknown.line
    assert "CONTRIBUTING.md" in str(unknown)
    assert "espalier_tests::mystery" in channels.group("inner.weight").reason


def test_a_rule_can_be_added(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(RULES, "placeholder", elementwise)  # restores the table's other keys are untouched
    monkeypatch.delitem(RULES, "placeholder")
    add_rule("espalier_tests::friendly", elementwise)
    try:
        channels = between(lambda _, x: friendly(x))
    finally:
        del RULES["espalier_tests::friendly"]
    assert summary(channels) == WHOLE


@torch.library.custom_op("espalier_tests::friendly", mutates_args=())
def friendly(x: Tensor) -> Tensor:
    return x * 2


def test_what_the_run_never_used_stays_whole() -> None:
    channels = between(lambda _, x: x, spare=conv(8, 8))
    assert summary(channels)["spare.weight"] == (8, "pinned")
    assert "not used" in channels.group("spare.weight").reason


def test_experts_that_only_training_runs_follow_the_stream() -> None:
    class Choice(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.left, self.right = conv(8, 8), conv(8, 8)

        def forward(self, x: Tensor) -> Tensor:
            if self.training:
                return self.left(x) + self.right(x)
            return self.left(x) if bool(x.mean() < 1e9) else self.right(x)

    channels = between(lambda n, x: n.choice(x), choice=Choice())
    names = {m.tensor for m in channels.group("head.weight").members}
    assert {"choice.left.weight", "choice.right.weight"} <= names


def test_tracing_leaves_modes_inputs_and_hooks_alone() -> None:
    network = Between(lambda _, x: x.mul_(2), norm=nn.BatchNorm2d(8)).double()
    network.norm.eval()
    image = sample_inputs(3, 6, 8).double()
    before = image.clone()
    analyse(network, image)
    assert network.training
    assert not network.norm.training
    assert torch.equal(image, before)
    assert not network.tail._forward_hooks
    assert not network.tail._forward_pre_hooks


def test_extra_inputs_are_passed_on() -> None:
    class TwoInputs(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.head, self.tail = conv(3, 8), conv(8, 3)

        def forward(self, x: Tensor, strength: Tensor, *, twice: bool = False) -> Tensor:
            return self.tail(self.head(x) * strength) * (2 if twice else 1)

    channels = analyse(TwoInputs(), (sample_inputs(3, 6, 8), torch.tensor(0.5)))
    assert [g.name for g in channels.prunable] == ["head.weight"]
