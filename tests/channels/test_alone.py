"""Positions that code takes one by one, and tensors whose shape changes in place."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from tests.channels.micro import WHOLE, assert_never_wrong, between, conv, summary


class Scaled(nn.Module):
    """A diagonal kernel, written entry by entry."""

    def __init__(self, first: int = 0) -> None:
        super().__init__()
        self.width, self.first, self.scale = 8, first, nn.Parameter(torch.rand(8) + 1)

    def forward(self, x: Tensor) -> Tensor:
        kernel = torch.zeros(self.width, self.width, 1, 1, dtype=x.dtype)
        for i in range(self.first, self.width):
            kernel[i, i, 0, 0] = self.scale[i]
        return functional.conv2d(x, kernel)


def test_channels_that_a_loop_goes_through_may_go() -> None:
    channels = between(lambda n, x: n.scaled(n.inner(x).relu()), out=8, inner=conv(8, 8), scaled=Scaled())
    assert summary(channels) == WHOLE | {"inner.weight": (8, "exact")}
    members = {m.tensor for m in channels.group("inner.weight").members}
    assert members == {"inner.weight", "inner.bias", "scaled.scale", "tail.weight"}
    assert_never_wrong(channels)


def test_channels_stay_whole_where_a_loop_leaves_some_out() -> None:
    channels = between(lambda n, x: n.scaled(x), scaled=Scaled(first=2))
    assert not channels.prunable
    assert "one channel taken alone" in " ".join(group.reason for group in channels.groups)


def test_one_channel_that_is_used_alone_stays() -> None:
    channels = between(lambda n, x: x * n.scale[3], scale=nn.Parameter(torch.rand(8)))
    assert [g.status for g in channels.groups if g.name.startswith("scale")] == ["rigid", "pinned"]
    assert_never_wrong(channels)


@pytest.mark.parametrize(
    "middle",
    [
        lambda x: torch.cat([x.relu().unsqueeze_(1), x.tanh().unsqueeze_(1)], 1).sum(1),
        lambda x: x.mean((2, 3), keepdim=True).squeeze_(-1).unsqueeze_(-1) * x,
        lambda x: x.relu().flatten(2).transpose_(1, 2).softmax(1).transpose_(-1, -2).reshape(x.shape),
        lambda x: x.mean((2, 3)).t_().sigmoid().t_()[:, :, None, None] * x,
    ],
    ids=["unsqueeze_", "squeeze_", "transpose_", "t_"],
)
def test_shapes_may_change_in_place(middle: Callable[[Tensor], Tensor]) -> None:
    channels = between(lambda _, x: middle(x))
    assert (summary(channels), channels.unknown) == (WHOLE, [])
    assert_never_wrong(channels)


def test_a_squeeze_in_place_of_whatever_has_size_one_keeps_channels_whole() -> None:
    channels = between(lambda _, x: x * x.mean((2, 3), keepdim=True).squeeze_()[:, None, None])
    assert {status for _, status in summary(channels).values()} == {"pinned"}
    assert [unknown.problem for unknown in channels.unknown] == ["an unforeseen use of"]
