"""The curves that a training log holds."""

from collections.abc import Iterable, Mapping
from typing import Any

HEADINGS = {"total": "loss", "psnr": "PSNR [dB]", "ssim": "SSIM"}


def series(log: Iterable[Mapping[str, Any]]) -> dict[str, list[tuple[float, float]]]:
    """Heading to (step, value): losses, then scores, then what the method told, then the learning rate.

    A lone loss is the same as the total and is drawn once.
    """
    log = [record for record in log if "step" in record]
    found: dict[str, list[tuple[float, float]]] = {}
    for kind in ("losses", "scores", "facts"):
        for name in dict.fromkeys(name for record in log for name in record.get(kind, {})):
            if kind == "losses" and name != "total" and _terms(log) < 2:
                continue
            found[HEADINGS.get(name, name)] = [
                (float(r["step"]), float(r[kind][name])) for r in log if r.get(kind, {}).get(name) is not None
            ]
    found["learning rate"] = [(float(r["step"]), float(r["lr"])) for r in log if "lr" in r]
    return found


def _terms(log: Iterable[Mapping[str, Any]]) -> int:
    return len({name for record in log for name in record.get("losses", {})} - {"total"})
