"""Networks that judge images in adversarial training: one file each, found by its name."""

import difflib
import importlib
import inspect
import pkgutil
from typing import Any

from torch import nn

from espalier.errors import NetworkError


def names() -> list[str]:
    """All discriminators."""
    return sorted(info.name for info in pkgutil.iter_modules(__path__))


def build(name: str, **options: Any) -> nn.Module:
    """A discriminator with fresh weights: RGB (N, 3, H, W) in 0..1 to logits, larger for real images.

    Raises:
        NetworkError: there is none of this name, or it does not have such an option.
    """
    if name not in names():
        near = difflib.get_close_matches(name, names(), 1)
        hint = f"did you mean {near[0]!r}?" if near else f"there are {', '.join(names())}"
        raise NetworkError(f"no discriminator is called {name!r}; {hint}")
    make = importlib.import_module(f"{__name__}.{name}").DISCRIMINATOR
    known = inspect.signature(make).parameters
    for option in options:
        if option not in known:
            raise NetworkError(
                f"the discriminator {name} has no option {option!r}; it has {', '.join(known)}"
            )
    return make(**options)
