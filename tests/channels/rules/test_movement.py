"""Operators that move positions, each between two convolutions: what is grouped, what is pinned."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from espalier.channels import units_of
from tests.channels.micro import WHOLE, assert_never_wrong, between, conv, plain, positions, summary

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


def test_one_channel_taken_alone_stays() -> None:
    channels = between(lambda _, x: x + x[:, 2:3])
    statuses = {g.status for g in channels.groups if g.name.startswith("head.weight") and g.channels == 1}
    assert statuses == {"pinned"}
    assert_never_wrong(channels)


def test_an_empty_slice_holds_nothing_back() -> None:
    def join(_: Any, x: Tensor) -> Tensor:
        x[:, :, -0:-99].add_(1)  # as windows do that are larger than the image
        return torch.cat([x, x[:, :0]], 1)

    channels = between(join)
    assert channels.unknown == []
    assert channels.share > 0.98
    assert_never_wrong(channels)
