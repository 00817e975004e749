"""Seeing what becomes of a layer's output: whether something is added to it, and whether it is rectified then."""

from collections.abc import Sequence
from functools import partial
from typing import Any

from torch import Tensor, nn
from torch.utils._python_dispatch import _disable_current_modes
from torch.utils._pytree import tree_iter

from espalier.calibration.layers import Layer, is_layer
from espalier.dispatch import Mode


class Watcher(Mode):
    """Calls `returned` for what each layer gives and `used` when an operator takes it; subclasses act on them."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def returned(self, name: str, layer: Layer, x: Tensor, output: Tensor) -> None:
        raise NotImplementedError

    def used(self, name: str, args: Sequence[Any]) -> None:
        raise NotImplementedError

    def done(self, name: str, args: Sequence[Any], out: Any) -> None:
        raise NotImplementedError

    def __torch_dispatch__(
        self,
        func: Any,
        types: Sequence[type],
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:
        del types
        kwargs = kwargs or {}
        name = func._schema.name.removeprefix("aten::")
        if kwargs.get("alpha", 1) != 1:
            name = "scaled " + name
        self.used(name, args)
        out = func(*args, **kwargs)
        self.done(name, args, out)
        return out

    def _returned(self, name: str, layer: nn.Module, given: tuple[Any, ...], output: Any) -> None:
        assert is_layer(layer)
        with _disable_current_modes():
            self.returned(name, layer, given[0], output)

    def run(self, *inputs: Tensor) -> Any:
        """The network's output, watched."""
        hooks = [
            module.register_forward_hook(partial(self._returned, name))
            for name, module in self.network.named_modules()
            if is_layer(module)
        ]
        try:
            with self:
                return self.network(*(x.clone() for x in inputs))
        finally:
            for hook in hooks:
                hook.remove()


def tensors(args: Sequence[Any]) -> list[Tensor]:
    return [t for t in tree_iter(args) if isinstance(t, Tensor)]


def partner(name: str, args: Sequence[Any], output: Tensor) -> Tensor | None:
    """What is added to `output` by this operator; None for other operators and for broadcasting."""
    if name not in ("add", "add_") or len(args) < 2:
        return None
    if not all(isinstance(a, Tensor) and a.shape == output.shape for a in args[:2]):
        return None
    return args[1] if args[0] is output else args[0]
