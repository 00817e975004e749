"""Networks in which numbers of different meaning are equal, or are what others leave of a third."""

import math

import torch
from torch import Tensor, nn
from torch.nn import functional

from tests.foreign.convolutions import Network, conv


class Partial(nn.Module):
    """A convolution of a quarter of the channels; the size of the rest is a difference."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.hidden = 2 * width
        self.moved = self.hidden // 4
        self.expand, self.back = conv(width, self.hidden, 1), conv(self.hidden, width, 1)
        self.part = conv(self.moved, self.moved)

    def forward(self, x: Tensor) -> Tensor:
        y = functional.gelu(self.expand(functional.normalize(x)))
        moved, rest = torch.split(y, [self.moved, self.hidden - self.moved], dim=1)
        return x + self.back(torch.cat([functional.gelu(self.part(moved)), rest], dim=1))


class Shifts(nn.Module):
    """As many groups as channels in each, shifted each its way; a wrong number of groups raises nothing."""

    def __init__(self, width: int, groups: int = 4) -> None:
        super().__init__()
        self.groups = groups
        self.mix = nn.Sequential(conv(width, width, 1), nn.ReLU(True), conv(width, width, 1))

    def forward(self, x: Tensor) -> Tensor:
        y, g = torch.zeros_like(x), x.shape[1] // self.groups
        y[:, 0 * g : 1 * g, :, :-1] = x[:, 0 * g : 1 * g, :, 1:]
        y[:, 1 * g : 2 * g, :, 1:] = x[:, 1 * g : 2 * g, :, :-1]
        y[:, 2 * g : 3 * g, :-1, :] = x[:, 2 * g : 3 * g, 1:, :]
        y[:, 3 * g :, :, :] = x[:, 3 * g :, :, :]
        return x + self.mix(y)


class Involution(nn.Module):
    """A kernel for each pixel and group; as many groups as channels in each, both kept on the module."""

    def __init__(self, width: int, size: int = 4, kernel: int = 3) -> None:
        super().__init__()
        self.kernel, self.group_channels, self.groups = kernel, size, width // size
        self.reduce = nn.Sequential(conv(width, 5, 1), nn.BatchNorm2d(5), nn.ReLU())
        self.span, self.patches = conv(5, kernel**2 * self.groups, 1), nn.Unfold(kernel, padding=kernel // 2)

    def forward(self, x: Tensor) -> Tensor:
        n, _, h, w = x.shape
        weight = self.span(self.reduce(x)).view(n, self.groups, self.kernel**2, h, w).unsqueeze(2)
        patches = self.patches(x).view(n, self.groups, self.group_channels, self.kernel**2, h, w)
        return x + (weight * patches).sum(3).view(n, self.groups * self.group_channels, h, w)


class Galerkin(nn.Module):
    """Keys times values, each normalised over heads and widths; four heads of four."""

    def __init__(self, width: int, heads: int = 4) -> None:
        super().__init__()
        self.heads, self.size = heads, width // heads
        self.qkv, self.first, self.second = (conv(width, k * width, 1) for k in (3, 1, 1))
        self.of_keys, self.of_values = (nn.LayerNorm((heads, 1, width // heads)) for _ in range(2))

    def normed(self, norm: nn.Module, x: Tensor) -> Tensor:
        return norm(x.transpose(1, 2).unsqueeze(3)).squeeze(3).transpose(1, 2)

    def forward(self, x: Tensor) -> Tensor:
        n, c, h, w = x.shape
        qkv = self.qkv(x).permute(0, 2, 3, 1).reshape(n, h * w, self.heads, 3 * self.size)
        q, k, v = qkv.permute(0, 2, 1, 3).chunk(3, dim=-1)
        k, v = self.normed(self.of_keys, k), self.normed(self.of_values, v)
        y = torch.matmul(q, torch.matmul(k.transpose(-2, -1), v) / (h * w))
        y = y.permute(0, 2, 1, 3).reshape(n, h, w, c).permute(0, 3, 1, 2)
        return x + self.second(functional.gelu(self.first(y + x)))


class Rolled(nn.Module):
    """Rolled windows of four by four, four heads of four, a mask for the size that it was built with."""

    def __init__(self, width: int, heads: int = 4, side: int = 4) -> None:
        super().__init__()
        self.resolution, self.side = (16, 24), side
        self.heads, self.head_dim, self.inner = heads, width // heads, width
        self.qkv, self.project = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.norm = nn.LayerNorm(width)
        self.register_buffer("mask", self.made(*self.resolution))

    def windows(self, x: Tensor) -> Tensor:
        n, h, w, c = x.shape
        y = x.view(n, h // self.side, self.side, w // self.side, self.side, c)
        return y.permute(0, 1, 3, 2, 4, 5).contiguous().view(-1, self.side**2, c)

    def made(self, h: int, w: int) -> Tensor:
        parts, image = (slice(0, -4), slice(-4, -2), slice(-2, None)), torch.zeros(1, h, w, 1)
        for k, (rows, columns) in enumerate((a, b) for a in parts for b in parts):
            image[:, rows, columns] = k
        kinds = self.windows(image)[..., 0]
        apart = kinds.unsqueeze(1) - kinds.unsqueeze(2)
        return apart.masked_fill(apart != 0, -100.0)

    def forward(self, x: Tensor) -> Tensor:
        n, _, h, w = x.shape
        y = self.windows(torch.roll(self.norm(x.permute(0, 2, 3, 1)), (-2, -2), (1, 2)))
        q, k, v = self.qkv(y).view(len(y), self.side**2, 3, self.heads, self.head_dim).permute(2, 0, 3, 1, 4)
        scores = q * self.head_dim**-0.5 @ k.transpose(-2, -1)
        mask = self.mask if (h, w) == tuple(self.resolution) else self.made(h, w).to(x)
        masked = scores.view(n, len(mask), self.heads, *scores.shape[2:]) + mask[None, :, None]
        y = self.project(
            (masked.view_as(scores).softmax(-1) @ v).transpose(1, 2).reshape(len(y), -1, self.inner)
        )
        y = y.view(n, h // self.side, w // self.side, self.side, self.side, self.inner)
        y = torch.roll(y.permute(0, 1, 3, 2, 4, 5).reshape(n, h, w, self.inner), (2, 2), (1, 2))
        return x + y.permute(0, 3, 1, 2)


class Correlations(nn.Module):
    """Queries against values summed over a window's parts; as wide a head as the sides of the window, kept apart."""

    def __init__(self, width: int, heads: int = 2, side: int = 4) -> None:
        super().__init__()
        self.heads, self.rows, self.columns = heads, side, side
        self.both, self.sum, self.project = nn.Linear(width, width), nn.Linear(4, 1), nn.Linear(width, width)

    def forward(self, x: Tensor) -> Tensor:
        n, c, h, w = x.shape
        y = self.both(x.permute(0, 2, 3, 1)).view(
            n, h // self.rows, self.rows, w // self.columns, self.columns, 2, -1
        )
        q, v = y.permute(5, 0, 1, 3, 2, 4, 6).reshape(2, -1, self.rows * self.columns, c // 2).unbind(0)
        q, v = (t.view(len(t), t.shape[1], self.heads, -1).permute(0, 2, 1, 3).contiguous() for t in (q, v))
        size = q.shape[-1]
        parts = v.view(len(v), self.heads, self.rows // 2, 2, self.columns // 2, 2, size)
        parts = parts.permute(0, 1, 3, 5, 6, 2, 4).reshape(len(v), self.heads, 4, size, -1)
        v = self.sum(parts).view(len(v), self.heads, 4, size)
        y = torch.cat([(q @ v.transpose(-2, -1)) / math.sqrt(size) @ v, q], -1).permute(0, 2, 1, 3)
        y = y.reshape(n, h // self.rows, w // self.columns, self.rows, self.columns, c)
        return x + self.project(y.permute(0, 1, 3, 2, 4, 5).reshape(n, h, w, c)).permute(0, 3, 1, 2)


class Overlapping(nn.Module):
    """Windows that look at larger ones; as many channels as a window has pixels, of which a table of biases speaks."""

    def __init__(self, width: int, heads: int = 2, side: int = 4, wide: int = 6) -> None:
        super().__init__()
        self.dim, self.side, self.wide, self.heads = width, side, wide, heads
        self.scale = (width // heads) ** -0.5
        self.norm, self.qkv = nn.LayerNorm(width), nn.Linear(width, 3 * width)
        self.project = nn.Linear(width, width)
        self.patches = nn.Unfold(wide, stride=side, padding=(wide - side) // 2)
        self.table = nn.Parameter(torch.randn((side + wide - 1) ** 2, heads) * 0.02)
        small, large = (
            torch.stack(torch.meshgrid(torch.arange(n), torch.arange(n), indexing="ij")).flatten(1)
            for n in (side, wide)
        )
        apart = large[:, None, :] - small[:, :, None] + side - 1
        self.register_buffer("which", apart[0] * (side + wide - 1) + apart[1])

    def split(self, x: Tensor) -> Tensor:
        return x.reshape(*x.shape[:2], self.heads, self.dim // self.heads).permute(0, 2, 1, 3)

    def forward(self, x: Tensor) -> Tensor:
        n, c, h, w = x.shape
        p, rows, columns = self.side, h // self.side, w // self.side
        qkv = self.qkv(self.norm(x.permute(0, 2, 3, 1))).reshape(n, h, w, 3, c).permute(3, 0, 4, 1, 2)
        q = qkv[0].permute(0, 2, 3, 1).view(n, rows, p, columns, p, c).permute(0, 1, 3, 2, 4, 5)
        q = self.split(q.reshape(-1, p * p, c))
        both = self.patches(torch.cat((qkv[1], qkv[2]), dim=1)).view(n, 2, c, self.wide**2, -1)
        k, v = (self.split(t) for t in both.permute(1, 0, 4, 3, 2).reshape(2, -1, self.wide**2, c))
        bias = self.table[self.which.view(-1)].view(p * p, self.wide**2, -1).permute(2, 0, 1)
        y = ((q * self.scale) @ k.transpose(-2, -1) + bias[None]).softmax(-1) @ v
        y = y.transpose(1, 2).reshape(-1, p * p, self.dim).view(n, rows, columns, p, p, self.dim)
        y = y.permute(0, 1, 3, 2, 4, 5).reshape(n, h, w, self.dim)
        return x + self.project(y).permute(0, 3, 1, 2)


def partial() -> nn.Module:
    return Network(nn.Sequential(Partial(12), Partial(12)))


def shifts() -> nn.Module:
    return Network(nn.Sequential(Shifts(16), Shifts(16)), 16)


def involution() -> nn.Module:
    return Network(Involution(16), 16)


def galerkin() -> nn.Module:
    return Network(Galerkin(16), 16)


def rolled() -> nn.Module:
    return Network(nn.Sequential(Rolled(16), Rolled(16)), 16)


def correlations() -> nn.Module:
    return Network(Correlations(16), 16)


def overlapping() -> nn.Module:
    return Network(Overlapping(16), 16)
