"""Convolutional networks: feedback, wavelets, normalised weights, couplings, mobile blocks, Fourier, covariance."""

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.utils import parametrizations


def conv(inputs: int, outputs: int, kernel: int = 3, **more: int) -> nn.Conv2d:
    return nn.Conv2d(inputs, outputs, kernel, padding=kernel // 2, **more)


class Network(nn.Module):
    """A convolution, a body that keeps its width, twice the size by a pixel shuffle."""

    def __init__(self, body: nn.Module, width: int = 12, out: int | None = None) -> None:
        super().__init__()
        self.head = conv(3, width)
        self.body = body
        self.tail = nn.Sequential(conv(out or width, 12), nn.PixelShuffle(2))

    def forward(self, x: Tensor) -> Tensor:
        return self.tail(self.body(self.head(x)))


class Feedback(nn.Module):
    """The same block several times; what it gave last is kept on the module and joined to its input."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.squeeze = nn.Sequential(conv(2 * width, width, 1), nn.PReLU(width))
        self.up = nn.ConvTranspose2d(width, 10, 6, 2, 2)
        self.down = nn.Conv2d(10, width, 6, 2, 2)
        self.memory: Tensor | None = None

    def step(self, x: Tensor) -> Tensor:
        if self.memory is None:
            self.memory = torch.zeros(x.size(), dtype=x.dtype)
            self.memory.copy_(x)
        x = self.squeeze(torch.cat((x, self.memory), dim=1))
        self.memory = self.down(self.up(x).relu_())
        return self.memory

    def forward(self, x: Tensor) -> Tensor:
        self.memory = None
        return torch.stack([self.step(x) for _ in range(3)]).mean(0)


class Wavelets(nn.Module):
    """Haar's transform by strided slices, and back by writing into zeros."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.inner = nn.Sequential(
            conv(4 * width, 20), nn.BatchNorm2d(20), nn.ReLU(True), conv(20, 4 * width)
        )

    def forward(self, x: Tensor) -> Tensor:
        a, b, c, d = (x[:, :, i::2, j::2] for i in (0, 1) for j in (0, 1))
        bands = self.inner(torch.cat((a + b + c + d, a - b + c - d, a + b - c - d, a - b - c + d), 1) / 2)
        n, channels, h, w = bands.shape
        quarter = channels // 4
        p, q, r, s = (bands[:, k * quarter : (k + 1) * quarter] for k in range(4))
        whole = torch.zeros([n, quarter, 2 * h, 2 * w]).to(bands)
        whole[:, :, 0::2, 0::2] = p + q + r + s
        whole[:, :, 0::2, 1::2] = p - q + r - s
        whole[:, :, 1::2, 0::2] = p + q - r - s
        whole[:, :, 1::2, 1::2] = p - q - r + s
        return whole + x


class NormedWeights(nn.Module):
    def __init__(self, width: int = 12) -> None:
        super().__init__()
        normed = parametrizations.weight_norm
        self.head, self.skip, self.tail = normed(conv(3, width)), normed(conv(3, 12)), normed(conv(width, 12))
        self.blocks = nn.ModuleDict({name: normed(conv(width, width)) for name in ("one", "two")})
        self.spectral = parametrizations.spectral_norm(conv(width, width))
        self.scales = nn.ParameterList([nn.Parameter(torch.full((1,), 0.5)) for _ in self.blocks])

    def forward(self, x: Tensor) -> Tensor:
        y = self.head(x)
        for block, scale in zip(self.blocks.values(), self.scales, strict=True):
            y = y + block(functional.relu(y)) * scale
        y = self.spectral(y)
        return functional.pixel_shuffle(self.tail(y) + self.skip(x), 2)


class Coupling(nn.Module):
    """An invertible step; the parts are remembered and taken by `narrow`."""

    def __init__(self, width: int, kept: int) -> None:
        super().__init__()
        self.kept, self.rest = kept, width - kept
        self.shift, self.scale, self.back = (
            conv(kept, self.rest),
            conv(kept, self.rest),
            conv(self.rest, kept),
        )

    def forward(self, x: Tensor) -> Tensor:
        a, b = x.narrow(1, 0, self.kept), x.narrow(1, self.kept, self.rest)
        b = b * self.scale(a).tanh().exp() + self.shift(a)
        return torch.cat((a - self.back(b), b), 1)


class Couplings(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.steps = nn.ModuleList([Coupling(width, 5), Coupling(width, 5)])

    def forward(self, x: Tensor) -> Tensor:
        for step in self.steps:
            x = step.forward(x)  # not called: hooks do not see it
        return x


class Phone(nn.Module):
    """Cheap channels made of others, squeeze and excitation, gated and maximal halves."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.first, self.cheap = conv(width, 10, 1), nn.Conv2d(10, 10, 3, padding=1, groups=10)
        self.squeeze, self.excite = nn.Linear(20, 5), nn.Linear(5, 20)
        self.gate, self.pieces = conv(20, 2 * width, 1), conv(width, 3 * width, 1)

    def forward(self, x: Tensor) -> Tensor:
        y = functional.relu6(self.first(x))
        y = torch.cat((y, functional.hardswish(self.cheap(y))), 1)
        n, channels = y.size()[:2]
        weights = self.excite(functional.relu(self.squeeze(y.view(n, channels, -1).mean(2))))
        y = functional.glu(self.gate(y * functional.hardsigmoid(weights).view(n, channels, 1, 1)), dim=1)
        n, channels, h, w = y.shape
        return x + self.pieces(y).view(n, channels, 3, h, w).max(2)[0]


class Fourier(nn.Module):
    """Convolutions of real and imaginary parts, then of amplitude and phase."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.parts = conv(2 * width, 2 * width, 1)
        self.amplitude, self.phase = conv(width, width, 1), conv(width, width, 1)

    def forward(self, x: Tensor) -> Tensor:
        z = torch.fft.rfft2(x, norm="ortho")
        n, _, h, w = z.shape
        both = torch.stack((z.real, z.imag), -1).permute(0, 1, 4, 2, 3).reshape(n, -1, h, w)
        both = self.parts(both).view(n, -1, 2, h, w).permute(0, 1, 3, 4, 2).contiguous()
        x = x + torch.fft.irfft2(torch.view_as_complex(both), s=x.shape[-2:], norm="ortho")
        z = torch.fft.rfft2(x)
        length, angle = self.amplitude(z.abs()), self.phase(z.angle())
        return torch.fft.irfft2(torch.complex(length * angle.cos(), length * angle.sin()), s=x.shape[-2:])


class Modes(nn.Module):
    """Complex weights for the lowest frequencies, written into complex zeros."""

    def __init__(self, width: int, out: int, modes: int = 3) -> None:
        super().__init__()
        self.out, self.modes = out, modes
        self.weight = nn.Parameter(torch.randn(width, out, modes, modes, dtype=torch.cfloat) / width)
        self.beside = conv(width, out, 1)

    def forward(self, x: Tensor) -> Tensor:
        z = torch.fft.rfft2(x)
        low = z[:, :, : self.modes, : self.modes]
        y = torch.zeros(x.shape[0], self.out, *z.shape[2:], dtype=torch.cfloat)
        y[:, :, : self.modes, : self.modes] = torch.einsum("nihw,iohw->nohw", low, self.weight)
        return functional.gelu(torch.fft.irfft2(y, s=x.shape[-2:]) + self.beside(x))


class Covariance(nn.Module):
    """Channel attention on the square root of the channels' covariance, by Newton's iteration."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.attend = nn.Sequential(conv(width, 4, 1), nn.ReLU(True), conv(4, width, 1), nn.Sigmoid())

    def forward(self, x: Tensor) -> Tensor:
        n, c, h, w = x.shape
        flat = x.reshape(n, c, h * w)
        centred = flat - flat.mean(2, keepdim=True)
        covariance = centred.bmm(centred.transpose(1, 2)) / (h * w)
        eye = torch.eye(c, c).view(1, c, c).repeat(n, 1, 1).to(x)
        trace = (covariance * eye).sum(1).sum(1).view(n, 1, 1)
        root, inverse = covariance / trace, eye
        for _ in range(2):
            step = 0.5 * (3.0 * eye - inverse.bmm(root))
            root, inverse = root.bmm(step), step.bmm(inverse)
        return x * self.attend((root * trace.sqrt()).mean(1).view(n, c, 1, 1))


class Folded(nn.Module):
    """Branches put into one kernel each time: an identity and an edge filter written channel by channel."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.width = width
        self.main, self.first = conv(width, width), conv(width, width, 1)
        self.wide, self.narrow = conv(width, 2 * width, 1), conv(2 * width, width)
        self.scale = nn.Parameter(torch.randn(width, 1, 1, 1))
        edge = torch.tensor([[1.0, 0.0, -1.0], [2.0, 0.0, -2.0], [1.0, 0.0, -1.0]])
        self.edges = nn.Parameter(edge.expand(width, 1, 3, 3).clone(), requires_grad=False)

    def kernels(self) -> Tensor:
        identity = torch.zeros(self.width, self.width, 3, 3)
        edges, own = torch.zeros((self.width, self.width, 3, 3)), self.scale * self.edges
        for i in range(self.width):
            identity[i, i, 1, 1] = 1.0
            edges[i, i, :, :] = own[i, 0, :, :]
        edges = functional.conv2d(edges, self.first.weight.permute(1, 0, 2, 3))
        wide = functional.conv2d(self.narrow.weight, self.wide.weight.permute(1, 0, 2, 3))
        return self.main.weight + identity + edges + wide

    def forward(self, x: Tensor) -> Tensor:
        inside = torch.ones(1, self.wide.out_channels, 3, 3) * self.wide.bias.view(1, -1, 1, 1)
        bias = self.main.bias + functional.conv2d(inside, self.narrow.weight).view(-1) + self.narrow.bias
        return functional.relu(functional.conv2d(x, self.kernels(), bias + self.first.bias, padding=1))


def feedback() -> nn.Module:
    return Network(Feedback(12))


def wavelets() -> nn.Module:
    return Network(Wavelets(12))


def normed_weights() -> nn.Module:
    return NormedWeights()


def coupling() -> nn.Module:
    return Network(Couplings(12))


def phone() -> nn.Module:
    return Network(Phone(12))


def fourier() -> nn.Module:
    return Network(Fourier(12))


def modes() -> nn.Module:
    return Network(Modes(12, 10), out=10)


def covariance() -> nn.Module:
    return Network(Covariance(12))


def folded() -> nn.Module:
    return Network(nn.Sequential(Folded(12), Folded(12)))
