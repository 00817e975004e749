"""A float64 copy of a network on which cuts are tried; every trial leaves it as it was."""

import copy
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_iter, tree_map

from espalier.channels.call import operator_name
from espalier.channels.unchanged import unchanged


class Rehearsal:
    """The copy, in evaluation mode, and its inputs; constant parameters are random: nothing hides behind a zero."""

    def __init__(self, network: nn.Module, inputs: Sequence[Any], seed: int = 0) -> None:
        self.network = copy.deepcopy(network).double().eval()
        self.inputs = [tree_map(_double, x) for x in inputs]
        generator = torch.Generator().manual_seed(seed)
        for tensor in [*self.network.parameters(), *self.network.buffers()]:
            if tensor.is_floating_point() and tensor.numel() and bool((tensor == tensor.flatten()[0]).all()):
                noise = torch.rand(tensor.shape, generator=generator, dtype=torch.float64)
                tensor.data = tensor.data + 0.1 * noise.to(tensor.device)
        self.modes = [0, 1, 2]
        """Ways to run the masked network, those that have been right before the others."""

    def shrink(self, calls: Counter[str]) -> None:
        """Go over to a smaller image if the network runs the same operators on it, which `calls` counts."""
        whole = self.inputs
        for smaller in _smaller(whole):
            self.inputs, counting = smaller, Doubles()
            try:
                self.run(partial(_under, counting, self.network))
            except Exception:  # the network does not take this size
                continue
            missing = calls.keys() - counting.calls.keys() - _COPIES
            if not missing and all(counting.calls[k] == calls[k] for k in _PRODUCTS):
                return
        self.inputs = whole

    def run(self, network: Callable[..., Any] | None = None) -> list[Tensor]:
        """The outputs, of the copy itself or of another way to run it."""
        inputs = [tree_map(lambda x: x.clone() if isinstance(x, Tensor) else x, x) for x in self.inputs]
        with torch.no_grad(), _doubles():
            outputs = network(*inputs) if network else _under(Doubles(), self.network, *inputs)
        return [t for t in tree_iter(outputs) if isinstance(t, Tensor)]

    @contextmanager
    def trial(self) -> Iterator[nn.Module]:
        """The copy, to be changed in any way; afterwards it is as before."""
        with unchanged(self.network):
            yield self.network


def _under(mode: TorchDispatchMode, network: nn.Module, *inputs: Any) -> Any:
    with mode:
        return network(*inputs)


def _smaller(inputs: list[Any]) -> Iterator[list[Any]]:
    """The inputs with smaller images, the smallest first; none if there is anything but one image."""
    if len(inputs) != 1 or not isinstance(inputs[0], Tensor) or inputs[0].ndim != 4:
        return
    height, width = inputs[0].shape[2:]
    sizes = []
    while min(height, width) >= 2 * SMALLEST:
        height, width = height // 4 * 2, width // 4 * 2
        sizes.append((height, width))
    for height, width in reversed(sizes):
        yield [inputs[0][..., :height, :width].contiguous()]


SMALLEST = 12
"""Pixels that are left of an image's shorter side."""
_PRODUCTS = ("convolution", "mm", "addmm", "bmm", "baddbmm")
_COPIES = {"_to_copy", "alias", "clone", "lift_fresh", "view", "_unsafe_view", "constant_pad_nd"}
"""What a run needs or not, as sizes and types happen to be."""
_SHORT = {
    torch.float32: torch.float64, torch.float16: torch.float64, torch.bfloat16: torch.float64,
    torch.complex64: torch.complex128,
}  # fmt: skip


def in_doubles(
    func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]
) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """The arguments of an operator for a run in float64 where the network's own code asks for less."""
    if kwargs.get("dtype") in _SHORT:
        kwargs = kwargs | {"dtype": _SHORT[kwargs["dtype"]]}
    if any(isinstance(a, Tensor) and a.dtype in _SHORT for a in args) and not func._schema.is_mutable:
        args = tuple(_double(a) for a in args)
    return args, kwargs


def _double(x: Any) -> Any:
    return x.to(_SHORT[x.dtype]) if isinstance(x, Tensor) and x.dtype in _SHORT else x


class Doubles(TorchDispatchMode):
    """Keeps a run in float64."""

    def __init__(self) -> None:
        super().__init__()
        self.calls: Counter[str] = Counter()
        """How often each operator has run."""

    def __torch_dispatch__(
        self,
        func: Any,
        types: Sequence[type],
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:
        del types
        self.calls[operator_name(func)] += 1
        args, kwargs = in_doubles(func, args, kwargs or {})
        return func(*args, **kwargs)


@contextmanager
def _doubles() -> Iterator[None]:
    """Tensors made on the way are float64 too, random ones alike, and attention keeps to the traced path."""
    previous, fast = torch.get_default_dtype(), torch.backends.mha.get_fastpath_enabled()
    torch.set_default_dtype(torch.float64)
    torch.backends.mha.set_fastpath_enabled(False)
    try:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            yield
    finally:
        torch.set_default_dtype(previous)
        torch.backends.mha.set_fastpath_enabled(fast)
