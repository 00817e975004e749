"""What goes on around a run: which module is at work, what modules set, whether their code asks for the mode."""

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from types import CodeType
from typing import Any

import torch
from torch import nn

from espalier.channels.records import Trace


@contextmanager
def mkldnn(allowed: bool) -> Iterator[None]:
    """Whether torch may run layers in one operator of oneDNN."""
    before = torch._C._get_mkldnn_enabled()
    torch._C._set_mkldnn_enabled(before and allowed)
    try:
        yield
    finally:
        torch._C._set_mkldnn_enabled(before)


@contextmanager
def running(names: Mapping[nn.Module, str], stack: list[str]) -> Iterator[None]:
    """Keep the name of the network's module that runs on the stack."""
    original = nn.Module.__call__

    def follow(module: nn.Module, *args: Any, **kwargs: Any) -> Any:
        name = names.get(module)
        if name is None:
            return original(module, *args, **kwargs)
        stack.append(name)
        try:
            return original(module, *args, **kwargs)
        finally:
            stack.pop()

    nn.Module.__call__ = follow
    try:
        yield
    finally:
        nn.Module.__call__ = original


@contextmanager
def assignments(names: Mapping[nn.Module, str], found: Trace) -> Iterator[None]:
    """Note which attributes the network's modules set while they run."""
    original = nn.Module.__setattr__

    def note(module: nn.Module, attribute: str, value: Any) -> None:
        if module in names:
            found.assigned.add((names[module], attribute))
        original(module, attribute, value)

    nn.Module.__setattr__ = note  # type: ignore[method-assign]
    try:
        yield
    finally:
        nn.Module.__setattr__ = original  # type: ignore[method-assign]


def reads_training(kinds: Iterable[type[nn.Module]]) -> bool:
    """Whether the code of any of these classes, torch's own left out, mentions the mode of training."""
    bases = {base for kind in set(kinds) for base in kind.__mro__}
    own = [base for base in bases if base is not object and not base.__module__.startswith("torch.nn.")]
    functions = (getattr(value, "__wrapped__", value) for base in own for value in vars(base).values())
    codes = (getattr(function, "__code__", None) for function in functions)
    return any(_mentions(code, "training") for code in codes if code is not None)


def _mentions(code: CodeType, name: str) -> bool:
    inner = (constant for constant in code.co_consts if isinstance(constant, CodeType))
    return name in code.co_names or any(_mentions(part, name) for part in inner)
