"""Networks with attention: torch's layers, shared heads, cosine windows, linear attention, patches, neighbours."""

import math

import torch
from einops import rearrange
from einops.layers.torch import Rearrange
from torch import Tensor, nn
from torch.nn import functional

from tests.foreign.convolutions import Network, conv


class Encoder(nn.Module):
    """Torch's own attention: over patches, and from them to the pixels."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.patches, self.back = nn.Conv2d(width, 24, 4, 4), nn.Linear(24, 16 * width)
        self.position = nn.Parameter(torch.randn(1, 24, 3, 3) * 0.02)
        self.layer = nn.TransformerEncoderLayer(24, 4, 20, batch_first=True, norm_first=True)
        self.across = nn.MultiheadAttention(24, 3, kdim=width, vdim=width, batch_first=True)

    def forward(self, x: Tensor) -> Tensor:
        y = self.patches(x)
        n, _, h, w = y.shape
        y = y + functional.interpolate(self.position, size=(h, w), mode="bicubic", align_corners=False)
        tokens = self.layer(y.flatten(2).permute(0, 2, 1))
        pixels = x.flatten(2).transpose(1, 2)
        tokens = self.back(tokens + self.across(tokens, pixels, pixels, need_weights=False)[0])
        y = tokens.view(n, h, w, -1, 4, 4).permute(0, 3, 1, 4, 2, 5).reshape(n, -1, 4 * h, 4 * w)
        return x + y


class SharedHeads(nn.Module):
    """Four heads of queries, two of keys and values; normalised by root mean squares; a gated MLP."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.heads, self.shared, self.size = 4, 2, 6
        self.norm, self.query_norm = nn.RMSNorm(width), nn.RMSNorm(6)
        self.q, self.k, self.v = (nn.Linear(width, 6 * heads, bias=False) for heads in (4, 2, 2))
        self.out, self.up, self.gate, self.down = (nn.Linear(a, b) for a, b in self.widths(width))

    @staticmethod
    def widths(width: int) -> tuple[tuple[int, int], ...]:
        return (24, width), (width, 18), (width, 18), (18, width)

    def forward(self, x: Tensor) -> Tensor:
        n, _, h, w = x.shape
        tokens = rearrange(x, "n c h w -> n (h w) c")
        y = self.norm(tokens)
        q = self.query_norm(self.q(y).view(n, h * w, self.heads, self.size)).transpose(1, 2)
        k, v = (p(y).view(n, h * w, self.shared, self.size).transpose(1, 2) for p in (self.k, self.v))
        y = functional.scaled_dot_product_attention(q, k, v, scale=0.4, enable_gqa=True)
        tokens = tokens + self.out(y.transpose(1, 2).flatten(2))
        tokens = tokens + self.down(functional.silu(self.gate(tokens)) * self.up(tokens))
        return rearrange(tokens, "n (h w) c -> n c h w", h=h)


class CosineWindows(nn.Module):
    """Rolled windows, attention by angles, a bias that an MLP makes of distances; norms after the layers."""

    def __init__(self, width: int, side: int = 4, heads: int = 3) -> None:
        super().__init__()
        self.side, self.heads = side, heads
        self.sharpness = nn.Parameter(torch.log(10 * torch.ones((heads, 1, 1))))
        self.distances = nn.Sequential(
            nn.Linear(2, 16), nn.ReLU(inplace=True), nn.Linear(16, heads, bias=False)
        )
        self.qkv, self.project, self.norm = (
            nn.Linear(width, 3 * width),
            nn.Linear(width, width),
            nn.LayerNorm(width),
        )
        grid = torch.stack(torch.meshgrid(*[torch.arange(side)] * 2, indexing="ij")).flatten(1).float()
        self.register_buffer("offsets", (grid[:, :, None] - grid[:, None]).permute(1, 2, 0), persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        h, w, p = *x.shape[-2:], self.side
        y = torch.roll(x, (-p // 2, -p // 2), (2, 3))
        y = rearrange(y, "n c (h p) (w q) -> (n h w) (p q) c", p=p, q=p)
        q, k, v = rearrange(self.qkv(y), "n t (three h c) -> three n h t c", three=3, h=self.heads)
        scores = torch.einsum(
            "nhqc,nhkc->nhqk", functional.normalize(q, dim=-1), functional.normalize(k, dim=-1)
        )
        scores = scores * torch.clamp(self.sharpness, max=math.log(100.0)).exp()
        bias = 16 * torch.sigmoid(self.distances(self.offsets)).permute(2, 0, 1)
        y = torch.einsum("nhqk,nhkc->nqhc", (scores + bias[None]).softmax(-1), v).flatten(2)
        y = self.norm(self.project(y))
        y = rearrange(y, "(n h w) (p q) c -> n c (h p) (w q)", h=h // p, w=w // p, p=p)
        return x + torch.roll(y, (p // 2, p // 2), (2, 3))


class LinearAttention(nn.Module):
    """Keys times values first, the sum of the weights as one more value; the heads lie in the channels."""

    def __init__(self, width: int, size: int = 5, heads: int = 3) -> None:
        super().__init__()
        self.size = size
        total = 3 * size * heads
        self.qkv, self.project = conv(width, total, 1), conv(2 * heads * size, width, 1)
        self.wider = nn.Sequential(
            nn.Conv2d(total, total, 5, padding=2, groups=total), nn.Conv2d(total, total, 1, groups=3 * heads)
        )

    def forward(self, x: Tensor) -> Tensor:
        n, _, h, w = x.shape
        qkv = self.qkv(x)
        qkv = torch.cat([qkv, self.wider(qkv)], 1).reshape(n, -1, 3 * self.size, h * w).transpose(-1, -2)
        q, k, v = qkv[..., : self.size], qkv[..., self.size : 2 * self.size], qkv[..., 2 * self.size :]
        values = functional.pad(v, (0, 1), value=1.0)
        y = functional.relu(q) @ (functional.relu(k).transpose(-1, -2) @ values)
        y = (y[..., :-1] / (y[..., -1:] + 1e-6)).transpose(-1, -2).reshape(n, -1, h, w)
        return x + self.project(y)


class CrossScale(nn.Module):
    """Patches of a smaller image as filters that find, and patches of the image as filters that paint."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.query, self.key, self.value = conv(width, 6, 1), conv(width, 6, 1), conv(width, width, 1)
        self.after = conv(width, width, stride=2)

    def forward(self, x: Tensor) -> Tensor:
        n, c = x.shape[:2]
        q, v = self.query(x), self.value(x)
        k = self.key(functional.interpolate(x, scale_factor=0.5, mode="bilinear"))
        found = functional.unfold(k, 3, padding=1).view(n, k.shape[1], 3, 3, -1).permute(0, 4, 1, 2, 3)
        painted = functional.unfold(v, 6, padding=2, stride=2).view(n, c, 6, 6, -1).permute(0, 4, 1, 2, 3)
        images = []
        for image, finders, painters in zip(q.split(1), found, painted, strict=True):
            scores = functional.conv2d(
                image, finders / finders.flatten(1).norm(dim=1)[:, None, None, None], padding=1
            )
            images.append(functional.conv_transpose2d(scores.softmax(1), painters, stride=2, padding=2) / 9)
        return x + self.after(torch.cat(images))


class Neighbours(nn.Module):
    """The nearest pixels by distance, gathered and weighed."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.query, self.key, self.value, self.mix = (
            conv(a, b, 1) for a, b in ((width, 6), (width, 6), (width, 10), (10, width))
        )
        self.tokens = Rearrange("n c h w -> n (h w) c")

    def forward(self, x: Tensor) -> Tensor:
        q, k, v = (self.tokens(part(x)) for part in (self.query, self.key, self.value))
        nearness, which = (-torch.cdist(q, k)).topk(4, dim=-1)
        many = v.unsqueeze(1).expand(-1, q.size(1), -1, -1)
        near = torch.gather(many, 2, which.unsqueeze(-1).expand(-1, -1, -1, v.size(-1)))
        y = (nearness.softmax(-1).unsqueeze(-1) * near).sum(2)
        return x + self.mix(y.transpose(1, 2).reshape(x.shape[0], -1, *x.shape[2:]))


def encoder() -> nn.Module:
    return Network(Encoder(12))


def shared_heads() -> nn.Module:
    return Network(SharedHeads(12))


def cosine_windows() -> nn.Module:
    return Network(CosineWindows(12))


def linear_attention() -> nn.Module:
    return Network(LinearAttention(12))


def cross_scale() -> nn.Module:
    return Network(CrossScale(12))


def neighbours() -> nn.Module:
    return Network(Neighbours(12))
