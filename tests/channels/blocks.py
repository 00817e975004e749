"""Blocks as people write them, of which the property tests build random networks.

Every block is made by `block(width, draw)` with `draw(choices)` giving one of the choices, takes `width`
channels and tells in `out` how many it gives.
"""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

Draw = Callable[[Sequence[Any]], Any]


class Block(nn.Module):
    out: int


def conv(inputs: int, outputs: int, kernel: int = 3, **more: Any) -> nn.Conv2d:
    dilation = more.get("dilation", 1)
    return nn.Conv2d(inputs, outputs, kernel, padding=kernel // 2 * dilation, **more)


class Convolution(Block):
    def __init__(self, width: int, draw: Draw) -> None:
        super().__init__()
        self.out = draw([6, 8, 12])
        self.conv = conv(width, self.out, draw([1, 3]), bias=draw([True, False]), dilation=draw([1, 2]))
        self.act = draw([nn.ReLU(), nn.GELU(), nn.Tanh(), nn.LeakyReLU(0.2, inplace=True)])

    def forward(self, x: Tensor) -> Tensor:
        return self.act(self.conv(x))


class Grouped(Block):
    def __init__(self, width: int, draw: Draw) -> None:
        super().__init__()
        groups = draw([2, 3])
        inner, self.out = groups * draw([3, 4]), (2 * draw([3, 4]) if groups == 2 else draw([6, 8]))
        self.before, self.after = nn.Identity(), nn.Identity()
        if groups == 3:  # halves and thirds of the same channels could lose nothing together
            self.before, self.after = conv(width, 9, 1), conv(inner, self.out, 1)
        self.conv = conv(9 if groups == 3 else width, inner if groups == 3 else self.out, groups=groups)

    def forward(self, x: Tensor) -> Tensor:
        return self.after(self.conv(self.before(x)))


class Depthwise(Block):
    def __init__(self, width: int, draw: Draw) -> None:
        super().__init__()
        self.out = draw([6, 8])
        self.deep = conv(width, width, groups=width, dilation=draw([1, 2]))
        self.point = conv(width, self.out, 1)

    def forward(self, x: Tensor) -> Tensor:
        return self.point(self.deep(x))


class Multiplied(Block):
    """A depthwise convolution that makes several channels of each."""

    def __init__(self, width: int, draw: Draw) -> None:
        super().__init__()
        self.out = draw([6, 8])
        factor = draw([2, 3])
        self.deep = conv(width, width * factor, groups=width)
        self.point = conv(width * factor, self.out, 1)

    def forward(self, x: Tensor) -> Tensor:
        return self.point(functional.gelu(self.deep(x)))


class Linear(Block):
    def __init__(self, width: int, draw: Draw) -> None:
        super().__init__()
        self.out = width
        hidden = draw([6, 10])
        self.norm = draw([nn.LayerNorm(width), nn.Identity()])
        self.mlp = nn.Sequential(nn.Linear(width, hidden), nn.GELU(), nn.Linear(hidden, width, bias=False))

    def forward(self, x: Tensor) -> Tensor:
        y = x.permute(0, 2, 3, 1)
        return (y + self.mlp(self.norm(y))).permute(0, 3, 1, 2)


class Norm(Block):
    def __init__(self, width: int, draw: Draw) -> None:
        super().__init__()
        self.out = width
        self.norm = draw(
            [
                nn.BatchNorm2d(width),
                nn.GroupNorm(1, width),
                nn.GroupNorm(2, width),
                nn.PReLU(width),
                nn.PReLU(),
            ]
        )

    def forward(self, x: Tensor) -> Tensor:
        return self.norm(x)


class ChannelNorm(Block):
    """LayerNorm over the channels of images, written out."""

    def __init__(self, width: int, draw: Draw) -> None:
        super().__init__()
        self.out = width
        self.weight = nn.Parameter(torch.ones(width, 1, 1))
        self.rms = draw([True, False])

    def forward(self, x: Tensor) -> Tensor:
        centred = x if self.rms else x - x.mean(1, keepdim=True)
        return self.weight * centred / (centred.square().mean(1, keepdim=True) + 1e-5).sqrt()


class Unit(Block):
    """A direction of length one at each pixel."""

    def __init__(self, width: int, draw: Draw) -> None:  # noqa: ARG002
        super().__init__()
        self.out = width
        self.scale = nn.Parameter(torch.full((1, width, 1, 1), 1.5))

    def forward(self, x: Tensor) -> Tensor:
        return functional.normalize(x, dim=1) * self.scale


class Residual(Block):
    def __init__(self, width: int, draw: Draw) -> None:
        super().__init__()
        self.out = width
        hidden = draw([6, 8, 10])
        self.body = nn.Sequential(conv(width, hidden), nn.ReLU(), conv(hidden, width))
        self.strength = draw([1.0, 0.2])

    def forward(self, x: Tensor) -> Tensor:
        return x + self.body(x) * self.strength


class Gate(Block):
    """Channel attention."""

    def __init__(self, width: int, draw: Draw) -> None:
        super().__init__()
        self.out = width
        thin = draw([3, 4])
        self.pool = draw([nn.AdaptiveAvgPool2d(1), nn.AdaptiveMaxPool2d(1)])
        self.body = nn.Sequential(conv(width, thin, 1), nn.ReLU(), conv(thin, width, 1), nn.Sigmoid())

    def forward(self, x: Tensor) -> Tensor:
        return x * self.body(self.pool(x))


class SpatialGate(Block):
    def __init__(self, width: int, draw: Draw) -> None:
        super().__init__()
        self.out = width
        self.conv = conv(2, 1, draw([3, 5]))

    def forward(self, x: Tensor) -> Tensor:
        seen = torch.cat([x.mean(1, keepdim=True), x.max(1, keepdim=True).values], 1)
        return x * torch.sigmoid(self.conv(seen))


class PixelGate(Block):
    def __init__(self, width: int, draw: Draw) -> None:  # noqa: ARG002
        super().__init__()
        self.out = width
        self.conv = conv(width, width, 1)

    def forward(self, x: Tensor) -> Tensor:
        return x.mul(torch.sigmoid(self.conv(x)))


class Distillation(Block):
    """Some channels are put by, the rest is worked on."""

    def __init__(self, width: int, draw: Draw) -> None:
        super().__init__()
        part = draw([2, 3])
        self.sizes = draw([(part, width - part), [part, width - part]])
        self.conv = conv(width - part, draw([4, 5]))
        self.out = part + self.conv.out_channels

    def forward(self, x: Tensor) -> Tensor:
        kept, rest = torch.split(x, self.sizes, dim=1)
        return torch.cat([kept, functional.leaky_relu(self.conv(rest), 0.05)], 1)


class Partial(Block):
    """A convolution on the first channels only."""

    def __init__(self, width: int, draw: Draw) -> None:
        super().__init__()
        self.out = width
        self.part = draw([2, 3])
        self.conv = conv(self.part, self.part)
        self.inplace = draw([True, False])

    def forward(self, x: Tensor) -> Tensor:
        if self.inplace:
            x = x.clone()
            x[:, : self.part] = self.conv(x[:, : self.part])
            return x
        return torch.cat([self.conv(x[:, : self.part]), x[:, self.part :]], 1)


class Halves(Block):
    """A gated unit: twice the channels, one half times the other."""

    def __init__(self, width: int, draw: Draw) -> None:
        super().__init__()
        half = draw([4, 5])
        self.out = draw([6, 8])
        self.wide, self.back = conv(width, 2 * half, 1), conv(half, self.out, 1)
        self.deep = draw([nn.Identity(), conv(2 * half, 2 * half, groups=2 * half)])

    def forward(self, x: Tensor) -> Tensor:
        a, b = self.deep(self.wide(x)).chunk(2, dim=1)
        return self.back(functional.gelu(a) * b)


class Pieces(Block):
    """Equal pieces, each with its own convolution, joined again."""

    def __init__(self, width: int, draw: Draw) -> None:
        super().__init__()
        self.levels = 2
        size = width // self.levels
        self.convs = nn.ModuleList(conv(size, size, groups=draw([1, size])) for _ in range(self.levels))
        self.out = width

    def forward(self, x: Tensor) -> Tensor:
        pieces = x.chunk(self.levels, dim=1)
        return torch.cat([layer(piece) for layer, piece in zip(self.convs, pieces, strict=True)], 1)


class Dense(Block):
    def __init__(self, width: int, draw: Draw) -> None:
        super().__init__()
        growth = draw([3, 4])
        self.first, self.second = conv(width, growth), conv(width + growth, growth)
        self.fuse = conv(width + 2 * growth, width, 1)
        self.out = width

    def forward(self, x: Tensor) -> Tensor:
        y = torch.cat([x, functional.relu(self.first(x))], 1)
        y = torch.cat([y, functional.relu(self.second(y))], 1)
        return self.fuse(y) + x


class ChannelShuffle(Block):
    def __init__(self, width: int, draw: Draw) -> None:
        super().__init__()
        self.groups = 2
        self.before, self.conv = conv(width, width, 1), draw([nn.Identity(), conv(width, width, groups=2)])
        self.out = draw([6, 8])
        self.after = conv(width, self.out, 1)

    def forward(self, x: Tensor) -> Tensor:
        x = self.before(x)
        b, c, h, w = x.shape
        y = x.view(b, self.groups, c // self.groups, h, w).transpose(1, 2).reshape(b, c, h, w)
        return self.after(self.conv(y))


class Subpixels(Block):
    """Down by pixel unshuffle, a convolution, up by pixel shuffle."""

    def __init__(self, width: int, draw: Draw) -> None:
        super().__init__()
        self.out = draw([4, 6])
        self.conv = conv(4 * width, 4 * self.out)

    def forward(self, x: Tensor) -> Tensor:
        return functional.pixel_shuffle(self.conv(functional.pixel_unshuffle(x, 2)), 2)


class Transposed(Block):
    def __init__(self, width: int, draw: Draw) -> None:
        super().__init__()
        self.out = draw([6, 8])
        self.down = conv(width, 6, stride=2)
        self.up = nn.ConvTranspose2d(6, self.out, 4, stride=2, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        return self.up(functional.relu(self.down(x)))


class Resized(Block):
    def __init__(self, width: int, draw: Draw) -> None:
        super().__init__()
        self.out = width
        self.mode = draw(["nearest", "bilinear"])
        self.conv = conv(width, width)

    def forward(self, x: Tensor) -> Tensor:
        small = self.conv(functional.max_pool2d(x, 2))
        return x + functional.interpolate(small, size=x.shape[-2:], mode=self.mode)


class Attention(Block):
    """Self-attention over pixels, heads remembered, their width following from the tensor."""

    def __init__(self, width: int, draw: Draw) -> None:
        super().__init__()
        self.heads = draw([2, 3])
        inner = self.heads * draw([4, 5])
        self.out = width
        self.qkv = draw([True, False])
        if self.qkv:
            self.project = nn.Linear(width, 3 * inner)
        else:
            self.q, self.k, self.v = (nn.Linear(width, inner) for _ in range(3))
        self.back = nn.Linear(inner, width)
        self.fused = draw([True, False])

    def forward(self, x: Tensor) -> Tensor:
        b, c, h, w = x.shape
        tokens = x.flatten(2).transpose(1, 2)
        if self.qkv:
            parts = self.project(tokens).chunk(3, dim=-1)
        else:
            parts = (self.q(tokens), self.k(tokens), self.v(tokens))
        q, k, v = (part.reshape(b, h * w, self.heads, -1).transpose(1, 2) for part in parts)
        if self.fused:
            mixed = functional.scaled_dot_product_attention(q, k, v, scale=0.5)
        else:
            mixed = (q @ k.transpose(-2, -1) * 0.5).softmax(-1) @ v
        tokens = self.back(mixed.transpose(1, 2).reshape(b, h * w, -1))
        return x + tokens.transpose(1, 2).reshape(b, c, h, w)


class TransposedAttention(Block):
    """Attention over channels, as Restormer has it."""

    def __init__(self, width: int, draw: Draw) -> None:
        super().__init__()
        self.heads = draw([1, 2])
        inner = self.heads * 4
        self.out = width
        self.temperature = nn.Parameter(torch.ones(self.heads, 1, 1))
        self.qkv, self.back = conv(width, 3 * inner, 1), conv(inner, width, 1)

    def forward(self, x: Tensor) -> Tensor:
        b, _, h, w = x.shape
        q, k, v = (part.reshape(b, self.heads, -1, h * w) for part in self.qkv(x).chunk(3, dim=1))
        q, k = functional.normalize(q, dim=-1), functional.normalize(k, dim=-1)
        mixed = (q @ k.transpose(-2, -1) * self.temperature).softmax(-1) @ v
        return x + self.back(mixed.reshape(b, -1, h, w))


class Twice(Block):
    """One convolution used two times."""

    def __init__(self, width: int, draw: Draw) -> None:  # noqa: ARG002
        super().__init__()
        self.out = width
        self.conv = conv(width, width)

    def forward(self, x: Tensor) -> Tensor:
        return self.conv(functional.relu(self.conv(x)))


BLOCKS: tuple[type[Block], ...] = (
    Convolution, Grouped, Depthwise, Multiplied, Linear, Norm, ChannelNorm, Unit, Residual, Gate, SpatialGate,
    PixelGate, Distillation, Partial, Halves, Pieces, Dense, ChannelShuffle, Subpixels, Transposed, Resized,
    Attention, TransposedAttention, Twice,
)  # fmt: skip
EVEN = (Grouped, ChannelShuffle, Pieces, Norm)
"""Blocks that want an even width."""


class Chain(nn.Module):
    """A convolution, blocks one after the other, a convolution or a pixel shuffle to the image."""

    def __init__(self, kinds: Sequence[type[Block]], draw: Draw) -> None:
        super().__init__()
        width = draw([6, 8, 12])
        self.head = conv(3, width)
        self.blocks = nn.ModuleList()
        for kind in kinds:
            if width % 2 and kind in EVEN:
                kind = Convolution
            block = kind(width, draw)
            self.blocks.append(block)
            width = block.out
        self.long_skip = draw([True, False]) and width == self.head.out_channels
        self.tail = draw([conv(width, 3), nn.Sequential(conv(width, 12), nn.PixelShuffle(2))])

    def forward(self, x: Tensor) -> Tensor:
        first = y = self.head(x)
        for block in self.blocks:
            y = block(y)
        return self.tail(y + first if self.long_skip else y)
