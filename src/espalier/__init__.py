"""Espalier makes trained image super-resolution networks smaller and faster.

The functions for scripts are those of `espalier.api`; they, and torch, are imported only when one is asked for.
"""

# pyright: reportImportCycles=false
# `espalier.api` needs all packages and they need this one; it is imported only for type checkers.

from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

__all__ = [
    "Channels", "CompressSettings", "Cost", "EspalierError", "Evaluation", "Network", "PrunePlan", "Result",
    "Verification", "compress", "cost", "evaluate", "export_to", "inspect", "load", "prune", "read", "recover",
    "save", "sweep", "upscale",
]  # fmt: skip

if TYPE_CHECKING:
    from espalier.api import (
        Channels,
        CompressSettings,
        Cost,
        EspalierError,
        Evaluation,
        Network,
        PrunePlan,
        Result,
        Verification,
        compress,
        cost,
        evaluate,
        export_to,
        inspect,
        load,
        prune,
        read,
        recover,
        save,
        sweep,
        upscale,
    )


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module 'espalier' has no attribute {name!r}")
    from espalier import api

    return getattr(api, name)


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
