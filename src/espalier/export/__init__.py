"""Files that other programs run. A target `x` is the file `x.py` of this folder."""

import importlib
import pkgutil
from typing import cast

from espalier.errors import NetworkError
from espalier.export.target import Exported, Request, Target
from espalier.export.verify import Match, Verification, verify

__all__ = ["Exported", "Match", "Request", "Target", "Verification", "target", "targets", "verify"]


def targets() -> list[str]:
    """The names that `target` knows."""
    found = (module.name for module in pkgutil.iter_modules(__path__))
    return sorted(set(found) - {"job", "photograph", "rectifiers", "standard", "target", "trace", "verify"})


def target(name: str) -> Target:
    """The target called `name`.

    Raises:
        NetworkError: there is none.
    """
    if name not in targets():
        raise NetworkError(f"there is no export target {name!r}; expected one of {', '.join(targets())}")
    return cast(Target, importlib.import_module(f"{__name__}.{name}"))
