"""A network turned to float64 for a while, on which cuts are tried; every trial leaves it as it was."""

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from typing import Any, Protocol, Self

import torch
from torch import Tensor, nn
from torch.utils._pytree import tree_iter, tree_map

from espalier.channels.call import operator_name
from espalier.channels.unchanged import Snapshot
from espalier.dispatch import Mode
from espalier.surgery import named_tensors


class Diverged(Exception):
    """A run does not use the operators of an earlier one, in their order."""


Change = Callable[[nn.Module], None]


class Watch(Protocol):
    """A dispatch mode that a network runs under."""

    short: bool
    """Whether the network's own code asked for less than float64."""

    @property
    def calls(self) -> Counter[str]:
        """How often each operator has run."""
        ...

    def finish(self) -> None:
        """Called after the run."""

    def __enter__(self) -> Any: ...
    def __exit__(self, exc_type: Any, exc_val: Any, exc_tb: Any) -> Any: ...


class Rehearsal:
    """The network in float64 and in evaluation mode, and its inputs. Constant parameters are random, so that nothing
    hides behind a zero.

    A context: no copy is made, and on leaving it the network is what it was.

    Args:
        calls: how often each operator runs on these inputs; if given, the network runs on the smallest image on which
            the same operators run.
    """

    def __init__(
        self,
        network: nn.Module,
        inputs: Sequence[Any],
        calls: Counter[str] | None = None,
        seed: int = 0,
    ) -> None:
        self.network = network
        self.inputs = [tree_map(_double, x) for x in inputs]
        self.calls = calls
        self.sizes = [self.inputs] if calls is None else [*_smaller(self.inputs), self.inputs]
        """Inputs that may do, the smallest first; one once it is settled."""
        self.short = True
        """Whether the network's own code may ask for less than float64."""
        self.seed = seed
        self.tensors: dict[str, Tensor] = {}
        """The network's parameters and buffers by name."""

    def __enter__(self) -> Self:
        self._original = Snapshot(self.network)
        try:
            self._turn()
        except BaseException:  # Ctrl-C, or too little memory
            self._original.restore()
            raise
        self._before = Snapshot(self.network)
        return self

    def _turn(self) -> None:
        """To float64 and evaluation mode, without gradients."""
        generator = torch.Generator().manual_seed(self.seed)
        self.tensors = named_tensors(self.network)
        for tensor in {id(t): t for t in self.tensors.values()}.values():
            tensor.grad = None
            tensor.data = _double(tensor.data)
            if tensor.is_floating_point() and tensor.numel() and _constant(tensor.data):
                noise = torch.rand(tensor.shape, generator=generator, dtype=torch.float64)
                tensor.data = tensor.data + 0.1 * noise.to(tensor.device)
        self.network.eval()

    def __exit__(self, *_: object) -> None:
        self._original.restore()

    def settle(self, change: Change, watch: Callable[[nn.Module], Watch]) -> list[Tensor] | None:
        """Choose the image; gives what `whole` would, or None where only the largest is left.

        Raises:
            Diverged: by the watch; nothing is settled.
        """
        *smaller, largest = self.sizes
        for self.inputs in smaller:
            try:
                outputs, mode = self._watched(change, watch)
            except Diverged:
                raise
            except Exception:  # the network does not take this size
                continue
            if self._alike(mode.calls):
                self.sizes, self.short = [self.inputs], mode.short
                return outputs
        self.inputs, self.sizes = largest, [largest]
        return None

    def whole(self, change: Change, watch: Callable[[nn.Module], Watch]) -> list[Tensor]:
        """The outputs of the network once `change`d, under a mode that `watch` makes."""
        outputs, mode = self._watched(change, watch)
        self.short = mode.short
        return outputs

    def _watched(self, change: Change, watch: Callable[[nn.Module], Watch]) -> tuple[list[Tensor], Watch]:
        with self.trial() as network:
            change(network)
            mode = watch(network)
            outputs = self.run(mode)
            mode.finish()
            return outputs, mode

    def _alike(self, calls: Counter[str]) -> bool:
        assert self.calls is not None
        missing = self.calls.keys() - calls.keys() - _COPIES
        return not missing and all(calls[k] == self.calls[k] for k in _PRODUCTS)

    def run(self, mode: Watch | None = None) -> list[Tensor]:
        """The outputs of the network as it is."""
        inputs = [tree_map(lambda x: x.clone() if isinstance(x, Tensor) else x, x) for x in self.inputs]
        watched = mode or (Doubles() if self.short else nullcontext())
        with torch.no_grad(), _doubles(), watched:
            outputs = self.network(*inputs)
        return [t for t in tree_iter(outputs) if isinstance(t, Tensor)]

    @contextmanager
    def trial(self) -> Iterator[nn.Module]:
        """The network, to be changed in any way; afterwards it is as before."""
        try:
            yield self.network
        finally:
            self._before.restore()


def _constant(tensor: Tensor) -> bool:
    """Whether all numbers are the same; mostly two of them tell already."""
    flat = tensor.reshape(-1)
    return bool(flat[0] == flat[-1]) and bool((flat == flat[0]).all())


def _smaller(inputs: list[Any]) -> list[list[Any]]:
    """The inputs with smaller images, the smallest first; none if there is anything but one image."""
    if len(inputs) != 1 or not isinstance(inputs[0], Tensor) or inputs[0].ndim != 4:
        return []
    height, width = inputs[0].shape[2:]
    sizes = []
    while min(height, width) >= 2 * SMALLEST:
        height, width = height // 4 * 2, width // 4 * 2
        sizes.append((height, width))
    return [[inputs[0][..., :height, :width].contiguous()] for height, width in reversed(sizes)]


SMALLEST = 6
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


class Doubles(Mode):
    """Keeps a run in float64."""

    def __init__(self) -> None:
        super().__init__()
        self.calls: Counter[str] = Counter()
        """How often each operator has run."""
        self.short = False
        """Whether the network's own code asked for less than float64."""

    def __torch_dispatch__(
        self,
        func: Any,
        types: Sequence[type],
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:
        del types
        name = operator_name(func)
        self.calls[name] += 1
        given = args, kwargs or {}
        args, kwargs = in_doubles(func, *given)
        self.short |= args is not given[0] or kwargs is not given[1]
        return self.run(name, func, args, kwargs)

    def run(self, name: str, func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """Carry the operator out."""
        del name
        return func(*args, **kwargs)

    def finish(self) -> None:
        """The run has ended."""


@contextmanager
def _doubles() -> Iterator[None]:
    """Tensors made on the way are float64 too, random ones alike, and attention keeps to the traced path."""
    previous, fast = torch.get_default_dtype(), torch.backends.mha.get_fastpath_enabled()
    torch.set_default_dtype(torch.float64)
    torch.backends.mha.set_fastpath_enabled(False)
    try:
        with torch.random.fork_rng(devices=[]):
            torch.default_generator.manual_seed(0)
            yield
    finally:
        torch.set_default_dtype(previous)
        torch.backends.mha.set_fastpath_enabled(fast)
