"""One convention for every SR network: RGB in 0..1 in, RGB in 0..1 out, `scale` times as high and wide."""

import copy
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.utils._pytree import tree_iter, tree_map_only

from espalier.images.color import rgb_to_y, rgb_to_ycbcr, ycbcr_to_rgb
from espalier.images.resize import enlarge, imresize
from espalier.plan import PrunePlan

OBJECT = "object"
"""The kind of a base that nothing can build again: a module that was given itself."""


@dataclass(frozen=True)
class Base:
    """How the unpruned network is built again: no code, no pickle, only names and JSON-able arguments."""

    kind: str
    """One of "own" (a file of `architectures/`), "spandrel" (a class in it), "factory" (module:function), `OBJECT`."""
    name: str
    arguments: dict[str, Any] = field(default_factory=dict)
    prepared: bool = False
    """Whether re-parameterised branches and weight norm were folded after building."""
    batchnorm_folded: bool = False
    """Whether BatchNorm was folded into the convolution before it."""

    @property
    def takes_arguments(self) -> bool:
        """Whether it is a member of an architecture, of which there are others."""
        return self.kind in ("own", "spandrel")


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
    """Smallest height and width that the network can work on."""
    square: bool = False
    """Height and width must be equal."""
    contiguous: bool = False
    """Its code takes views that need images laid out channel by channel, not pixel by pixel (channels last)."""

    @property
    def pads(self) -> bool:
        """Whether there are sizes that the network does not take."""
        return self.multiple_of != 1 or self.minimum != 1 or self.square

    def fitting(self, height: int, width: int) -> tuple[int, int]:
        """The least height and width, these or above, that the network takes."""
        step = self.multiple_of
        # no division of negative numbers: ONNX rounds it towards zero
        tall, wide = ((max(edge, self.minimum) + step - 1) // step * step for edge in (height, width))
        return (max(tall, wide), max(tall, wide)) if self.square else (tall, wide)


class Network(nn.Module):
    """An SR network behind the common convention; `body` keeps the parameter names of the original."""

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
        self.masks: dict[str, Tensor] = {}
        """Tensor of `body` -> True where a weight stays; the others are zero and are to remain so."""

    def __deepcopy__(self, memo: dict[int, Any]) -> "Network":
        """As of any module; what the body keeps of its last run is cut off from the gradients of that run."""
        _forget_gradients_(self.body)
        twin = memo[id(self)] = self.__class__.__new__(self.__class__)
        twin.__dict__.update(copy.deepcopy(self.__dict__, memo))
        return twin

    def forward(self, x: Tensor) -> Tensor:
        """RGB (N, 3, H, W) in 0..1 to (N, 3, scale * H, scale * W), not clamped; `x` is not written to."""
        return self.decode(self.body(self.encode(x)), x)

    def encode(self, x: Tensor) -> Tensor:
        """What `body` is fed for RGB `x` in 0..1: a new tensor, since some networks write into theirs."""
        return self.feed(x, _enlarged_in_bytes, _padded)

    def feed(
        self,
        x: Tensor,
        enlarged: Callable[[Tensor, int], Tensor],
        padded: Callable[[Tensor, Adapter], Tensor],
    ) -> Tensor:
        """`encode` in operators of one's own: a bicubic enlargement, and padding to a size that fits."""
        adapter = self.adapter
        if adapter.enlarged:
            x = enlarged(x, self.scale)
        if adapter.luma:
            x = rgb_to_y(x) / 255
        if adapter.pads:
            x = padded(x, adapter)
        if adapter.contiguous:
            x = x.contiguous()
        return x * adapter.range if adapter.range != 1 else x.clone()

    def decode(self, native: Tensor | tuple[Tensor, ...], x: Tensor) -> Tensor:
        """RGB in 0..1 from what `body` gave for `x`; a Y-only network borrows the bicubic chroma of `x`."""
        out = self._uncover(native, x)
        if not self.adapter.luma:
            return out
        chroma = enlarge(rgb_to_ycbcr(x)[:, 1:], self.scale)
        return ycbcr_to_rgb(torch.cat([out * 255, chroma], dim=1))

    def luma(self, x: Tensor) -> Tensor:
        """BT.601 Y of the output, (N, 1, scale * H, scale * W), 16..235; a Y-only network's own Y."""
        native = self.body(self.encode(x))
        if self.adapter.luma:
            return self._uncover(native, x) * 255
        return rgb_to_y(self.decode(native, x))

    def _uncover(self, native: Tensor | tuple[Tensor, ...], x: Tensor) -> Tensor:
        """Take the padding and the native range off; of several outputs the first is the image."""
        native = first(native)
        if self.adapter.pads:
            native = native[..., : x.shape[-2] * self.scale, : x.shape[-1] * self.scale]
        return native / self.adapter.range if self.adapter.range != 1 else native

    def extra_repr(self) -> str:
        return f"{self.name}, x{self.scale}"


def body_of(network: nn.Module) -> nn.Module:
    """The module whose tensors plans, groups and masks name."""
    return network.body if isinstance(network, Network) else network


def sizes(body: nn.Module) -> dict[str, torch.Size]:
    """The shape of each tensor."""
    return {name: tensor.shape for name, tensor in body.state_dict().items()}


def copy_of(body: nn.Module) -> nn.Module:
    """A deep copy, which torch refuses of tensors on their way to a gradient: normed weights, states of a run."""
    _forget_gradients_(body)
    return copy.deepcopy(body)


def _forget_gradients_(body: nn.Module) -> None:
    """Detach the tensors of a run that modules hold as attributes."""
    own = vars(nn.Module())
    for module in body.modules():
        for name, kept in vars(module).items():
            if name not in own and any(isinstance(t, Tensor) and not t.is_leaf for t in tree_iter(kept)):
                vars(module)[name] = tree_map_only(Tensor, Tensor.detach, kept)


def channels_last_(network: nn.Module) -> None:
    """Lay the weights out as processors compute them fastest, unless the network's code forbids it."""
    if isinstance(network, Network) and network.adapter.contiguous:
        return
    for tensor in (*network.parameters(), *network.buffers()):
        if tensor.ndim == 4:  # not all at once by Module.to, which fails where there are tensors of five axes
            tensor.data = tensor.data.contiguous(memory_format=torch.channels_last)


def _enlarged_in_bytes(x: Tensor, scale: int) -> Tensor:
    """The bicubic enlargement as an 8-bit file holds it: rounded after rows and after columns, as in MATLAB.

    That is what such networks are published with; at x4 the unrounded one gives VDSR 0.18 dB more.
    """
    height, width = x.shape[-2:]
    rows = _rounded(imresize(x, size=(height * scale, width)))
    return _rounded(imresize(rows, size=(height * scale, width * scale)))


def _rounded(x: Tensor) -> Tensor:
    return (x * 255 + 0.5).floor().clamp(0, 255) / 255


def _padded(x: Tensor, adapter: Adapter) -> Tensor:
    """Pad right and bottom by reflection, by repetition where the image is too small to be reflected."""
    height, width = x.shape[-2:]
    tall, wide = adapter.fitting(height, width)
    if (tall, wide) == (height, width):
        return x
    mode = "reflect" if tall < 2 * height and wide < 2 * width else "replicate"
    return functional.pad(x, (0, wide - width, 0, tall - height), mode=mode)


def first(output: Tensor | Sequence[Tensor]) -> Tensor:
    """The image, where a body gives more."""
    return output if isinstance(output, Tensor) else output[0]
