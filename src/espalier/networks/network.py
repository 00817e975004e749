"""One convention for every SR network: RGB in 0..1 in, RGB in 0..1 out, `scale` times as high and wide."""

from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from espalier.plan import PrunePlan


@dataclass(frozen=True)
class Base:
    """How the unpruned network is built again: no code, no pickle, only names and JSON-able arguments."""

    kind: str
    """"own" (a file of `networks/architectures`), "spandrel" (a class of spandrel) or "factory" (module:function)."""
    name: str
    arguments: dict[str, Any] = field(default_factory=dict)
    prepared: bool = False
    """Whether re-parameterised branches and weight norm were folded after building."""
    batchnorm_folded: bool = False
    """Whether BatchNorm was folded into the convolution before it."""


@dataclass(frozen=True)
class Adapter:
    """What the network's own code wants, where that differs from the common convention."""

    range: float = 1.0
    """Largest value of the network's own images: 1 or 255."""
    luma: bool = False
    """The network sees and gives BT.601 Y only; chroma is enlarged bicubically."""
    enlarged: bool = False
    """The network is fed a bicubic enlargement and keeps its size."""
    multiple_of: int = 1
    """Height and width must divide by this; inputs are padded by reflection and the result cropped."""
    minimum: int = 1


class Network(nn.Module):
    """An SR network behind the common convention; `body` keeps the original architecture's parameter names."""

    def __init__(
        self,
        body: nn.Module,
        *,
        name: str,
        scale: int,
        base: Base,
        adapter: Adapter | None = None,
        plans: tuple[PrunePlan, ...] = (),
    ) -> None:
        super().__init__()
        self.body = body
        self.name = name
        self.scale = scale
        self.base = base
        self.adapter = adapter or Adapter()
        self.plans = plans
        """Cuts made since the base was built, in order."""

    def forward(self, x: Tensor) -> Tensor:
        """Enlarge RGB (N, 3, H, W) in 0..1 to (N, 3, scale * H, scale * W), not clamped; `x` is never written to."""
        return self.decode(self.body(self.encode(x)), x)

    def encode(self, x: Tensor) -> Tensor:
        """What `body` is fed for RGB `x` in 0..1: always a new tensor, since some networks write into theirs."""
        adapter = self.adapter
        if adapter.luma:
            from espalier.images.color import rgb_to_y
            x = rgb_to_y(x) / 255
        if adapter.enlarged:
            from espalier.images.resize import imresize
            x = imresize(x, self.scale)
        x = pad_to_multiple(x, adapter.multiple_of, adapter.minimum)
        return x * adapter.range if adapter.range != 1 else x.clone()

    def decode(self, native: Tensor, x: Tensor) -> Tensor:
        """RGB in 0..1 from what `body` gave for `x`; a Y-only network borrows the bicubic chroma of `x`."""
        out = self._uncover(native, x)
        if not self.adapter.luma:
            return out
        from espalier.images.color import rgb_to_ycbcr, ycbcr_to_rgb
        from espalier.images.resize import imresize
        chroma = imresize(rgb_to_ycbcr(x)[:, 1:], self.scale)
        return ycbcr_to_rgb(torch.cat([out * 255, chroma], dim=1))

    def luma(self, x: Tensor) -> Tensor:
        """BT.601 Y of the output, (N, 1, scale * H, scale * W), 16..235; a Y-only network's own Y."""
        native = self.body(self.encode(x))
        if self.adapter.luma:
            return self._uncover(native, x) * 255
        from espalier.images.color import rgb_to_y
        return rgb_to_y(self.decode(native, x))

    def _uncover(self, native: Tensor, x: Tensor) -> Tensor:
        """Take the padding and the native range off."""
        height, width = x.shape[-2] * self.scale, x.shape[-1] * self.scale
        out = native[..., :height, :width]
        return out / self.adapter.range if self.adapter.range != 1 else out

    def extra_repr(self) -> str:
        return f"{self.name}, x{self.scale}"


def pad_to_multiple(x: Tensor, multiple_of: int, minimum: int) -> Tensor:
    """Pad right and bottom by reflection, by repetition where the image is too small to be reflected."""
    height, width = x.shape[-2:]
    down, right = (_missing(size, multiple_of, minimum) for size in (height, width))
    if down == right == 0:
        return x
    mode = "reflect" if down < height and right < width else "replicate"
    return functional.pad(x, (0, right, 0, down), mode=mode)


def _missing(size: int, multiple_of: int, minimum: int) -> int:
    wanted = max(size, minimum)
    return -(-wanted // multiple_of) * multiple_of - size
