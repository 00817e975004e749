"""Networks whose weights or paths depend on the image, and recurrent ones."""

import torch
from einops import rearrange
from torch import Tensor, nn
from torch.nn import functional

from tests.foreign.convolutions import Network, conv


class Scan(nn.Module):
    """A state-space model that reads the pixels forwards and backwards, one after the other."""

    def __init__(self, width: int, inner: int = 16, states: int = 3, rank: int = 2) -> None:
        super().__init__()
        self.inner, self.states, self.rank = inner, states, rank
        self.project, self.out = nn.Linear(width, 2 * inner, bias=False), nn.Linear(inner, width, bias=False)
        self.mix, self.norm = nn.Conv2d(inner, inner, 3, padding=1, groups=inner), nn.LayerNorm(inner)
        self.select = nn.Parameter(torch.randn(2, rank + 2 * states, inner) * 0.2)
        self.steps, self.step_bias = (
            nn.Parameter(torch.randn(2, inner, rank)),
            nn.Parameter(torch.zeros(2, inner)),
        )
        self.decay = nn.Parameter(torch.arange(1.0, states + 1).log().repeat(2 * inner, 1))
        self.through = nn.Parameter(torch.ones(2 * inner))

    def forward(self, x: Tensor) -> Tensor:
        n, _, h, w = x.shape
        y, gate = self.project(x.permute(0, 2, 3, 1)).chunk(2, dim=-1)
        y = functional.silu(self.mix(y.permute(0, 3, 1, 2))).flatten(2)
        both = torch.stack([y, y.flip(-1)], dim=1)
        seen = torch.einsum("nkdl,kcd->nkcl", both, self.select)
        step, write, read = torch.split(seen, [self.rank, self.states, self.states], dim=2)
        step = torch.einsum("nkrl,kdr->nkdl", step, self.steps).reshape(n, -1, h * w)
        step = functional.softplus(step + self.step_bias.view(-1)[None, :, None])
        out = self.run(both.reshape(n, -1, h * w), step, write, read).view(n, 2, -1, h * w)
        y = (out[:, 0] + out[:, 1].flip(-1)).transpose(1, 2).view(n, h, w, -1)
        return x + self.out(self.norm(y) * functional.silu(gate)).permute(0, 3, 1, 2)

    def run(self, x: Tensor, step: Tensor, write: Tensor, read: Tensor) -> Tensor:
        write, read = (t.repeat_interleave(x.shape[1] // t.shape[1], dim=1) for t in (write, read))
        keep = torch.exp(torch.einsum("ndl,ds->ndls", step, -self.decay.exp()))
        new = torch.einsum("ndl,ndsl,ndl->ndls", step, write, x)
        state, outputs = x.new_zeros((x.shape[0], x.shape[1], self.decay.shape[1])), []
        for place in range(x.shape[2]):
            state = keep[:, :, place] * state + new[:, :, place]
            outputs.append(torch.einsum("nds,nds->nd", state, read[..., place]))
        return torch.stack(outputs, dim=2) + x * self.through.unsqueeze(-1)


class PredictedFilters(nn.Module):
    """An MLP makes the filters of each sub-pixel of its place, for any scale."""

    def __init__(self, width: int = 8) -> None:
        super().__init__()
        self.encode = nn.Sequential(conv(3, width), nn.ReLU(), conv(width, width))
        self.predict = nn.Sequential(nn.Linear(2, 14), nn.ReLU(), nn.Linear(14, 9 * width * 3))

    def forward(self, x: Tensor) -> Tensor:
        n, _, h, w = x.shape
        places = torch.tensor([[i / 2, j / 2] for i in range(2) for j in range(2)]).to(x)
        filters = self.predict(places).view(4, -1, 3)
        patches = functional.unfold(self.encode(x), 3, padding=1).transpose(1, 2)
        y = torch.matmul(patches.unsqueeze(1), filters.unsqueeze(0))
        return y.view(n, 2, 2, h, w, 3).permute(0, 5, 3, 1, 4, 2).reshape(n, 3, 2 * h, 2 * w)


class Experts(nn.Module):
    """A convolution whose weights are mixed for each image, then a kernel for each pixel."""

    def __init__(self, width: int, out: int = 10, experts: int = 4) -> None:
        super().__init__()
        self.out = out
        self.choose = nn.Sequential(
            nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(width, experts), nn.Softmax(1)
        )
        self.weight = nn.Parameter(torch.randn(experts, out, width, 3, 3) * 0.1)
        self.bias = nn.Parameter(torch.randn(experts, out))
        self.kernels, self.back = conv(out, 9), conv(out, width, 1)

    def forward(self, x: Tensor) -> Tensor:
        n, c, h, w = x.shape
        share = self.choose(x)
        weight = torch.mm(share, self.weight.view(self.weight.shape[0], -1)).view(n * self.out, c, 3, 3)
        bias = torch.mm(share, self.bias).view(-1)
        y = functional.conv2d(x.view(1, -1, h, w), weight, bias, padding=1, groups=n).view(n, self.out, h, w)
        patches = functional.unfold(y, 3, padding=1).view(n, -1, 9, h, w)
        return x + self.back(torch.einsum("nckhw,nkhw->nchw", patches, self.kernels(y).softmax(1)))


class Modulated(nn.Module):
    """Weights scaled by a style, then to unit length; a learned constant; instance statistics by hand."""

    def __init__(self, width: int, out: int = 10) -> None:
        super().__init__()
        self.style, self.scale = nn.Linear(width, 7), nn.Linear(7, width)
        self.weight, self.back = nn.Parameter(torch.randn(1, out, width, 3, 3) * 0.1), conv(out, width)
        self.constant = nn.Parameter(torch.randn(1, width, 1, 1))

    def forward(self, x: Tensor) -> Tensor:
        n, c, h, w = x.shape
        style = self.style(x.mean((2, 3)))
        weight = self.weight * self.scale(style).view(n, 1, c, 1, 1)
        weight = weight * torch.rsqrt(weight.pow(2).sum([2, 3, 4], keepdim=True) + 1e-8)
        x = x + self.constant.repeat(n, 1, h, w)
        y = functional.conv2d(x.reshape(1, n * c, h, w), weight.flatten(0, 1), padding=1, groups=n).view(
            n, -1, h, w
        )
        y = self.back(functional.leaky_relu(y, 0.2))
        mean, variance = y.mean((2, 3), keepdim=True), y.var((2, 3), keepdim=True)
        return x + (y - mean) / (variance + 1e-5).sqrt()


class ChosenWindows(nn.Module):
    """Attention in the windows that a predictor picks, a spatial gate in the others, put together by `scatter`."""

    def __init__(self, width: int, side: int = 4) -> None:
        super().__init__()
        self.side = side
        self.value, self.out = conv(width, width, 1), conv(width, width, 1)
        self.q, self.k = nn.Linear(width, 8), nn.Linear(width, 8)
        self.gate, self.rank = conv(width, 1), nn.Linear(side * side, 1)

    def windows(self, x: Tensor) -> Tensor:
        return rearrange(x, "n c (h p) (w q) -> n (h w) (p q c)", p=self.side, q=self.side)

    def forward(self, x: Tensor) -> Tensor:
        p = self.side
        order = torch.argsort(
            self.rank(self.windows(x.mean(1, keepdim=True)))[..., 0], dim=1, descending=True
        )
        v, keys = self.windows(self.value(x)), self.windows(x)
        gates = self.windows(torch.sigmoid(self.gate(x)).expand_as(x))
        hard, easy = (i.unsqueeze(-1).expand(-1, -1, v.shape[-1]) for i in order.chunk(2, dim=1))
        a, b = (rearrange(t.gather(1, hard), "n k (t c) -> (n k) t c", t=p * p) for t in (v, keys))
        a = (self.q(b) @ self.k(b).transpose(-2, -1)).softmax(-1) @ a
        y = torch.zeros_like(v).scatter(1, hard, rearrange(a, "(n k) t c -> n k (t c)", n=len(v)))
        y = y.scatter(1, easy, v.gather(1, easy) * gates.gather(1, easy))
        shape = {"h": x.shape[2] // p, "p": p, "q": p}
        return x + self.out(rearrange(y, "n (h w) (p q c) -> n c (h p) (w q)", **shape))


class RowsOfPixels(nn.Module):
    """Torch's recurrent layers along the rows, then along the columns."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.across = nn.GRU(width, 7, batch_first=True, bidirectional=True)
        self.down = nn.LSTM(14, 9, batch_first=True)
        self.back = nn.Linear(9, width)

    def forward(self, x: Tensor) -> Tensor:
        n, _, h, w = x.shape
        y, _ = self.across(x.permute(0, 2, 3, 1).reshape(n * h, w, -1))
        y, _ = self.down(y.reshape(n, h, w, -1).transpose(1, 2).reshape(n * w, h, -1))
        return x + self.back(y).view(n, w, h, -1).permute(0, 3, 2, 1)


class Video(nn.Module):
    """Features carried through three frames, warped by a predicted flow, in a convolutional LSTM's cell."""

    def __init__(self, width: int = 10) -> None:
        super().__init__()
        self.width = width
        self.flow = nn.Sequential(conv(6, 5), nn.ReLU(), conv(5, 2))
        self.forth, self.gates = conv(3 + width, width), conv(2 * width, 4 * width)
        self.tail = nn.Sequential(conv(width, 12), nn.PixelShuffle(2))

    def warped(self, x: Tensor, flow: Tensor) -> Tensor:
        h, w = x.shape[-2:]
        ys, xs = torch.meshgrid(torch.linspace(-1, 1, h), torch.linspace(-1, 1, w), indexing="ij")
        grid = torch.stack((xs, ys), -1).to(x) + flow.permute(0, 2, 3, 1) / 10
        return functional.grid_sample(x, grid, align_corners=True)

    def forward(self, x: Tensor) -> Tensor:
        frames = torch.stack([x, x.roll(1, -1), x.roll(2, -1)], dim=1)
        n, count, _, h, w = frames.size()
        state = cell = frames.new_zeros(n, self.width, h, w)
        for k in range(count):
            now, before = frames[:, k], frames[:, max(k - 1, 0)]
            state = self.forth(
                torch.cat([now, self.warped(state, self.flow(torch.cat([now, before], 1)))], 1)
            )
            i, f, o, g = torch.split(self.gates(torch.cat([state, cell], 1)), self.width, dim=1)
            cell = f.sigmoid() * cell + i.sigmoid() * g.tanh()
            state = o.sigmoid() * cell.tanh()
        return self.tail(state)


def scan() -> nn.Module:
    return Network(Scan(12))


def predicted_filters() -> nn.Module:
    return PredictedFilters()


def experts() -> nn.Module:
    return Network(Experts(12))


def modulated() -> nn.Module:
    return Network(Modulated(12))


def chosen_windows() -> nn.Module:
    return Network(ChosenWindows(12))


def rows_of_pixels() -> nn.Module:
    return Network(RowsOfPixels(12))


def video() -> nn.Module:
    return Video()
