"""The curves that a training log holds."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

HEADINGS = {"total": "loss", "psnr": "PSNR [dB]", "ssim": "SSIM"}

Points = list[tuple[float, float]]


def series(log: Iterable[Mapping[str, Any]]) -> dict[str, Points]:
    """Heading to (step, value): the loss, scores, the loss's parts, what the method told, the learning rate.

    A lone part is the same as the whole and is left out.
    """
    records = [record for record in log if "step" in record]
    parts = [name for name in _names(records, "losses") if name != "total"]
    wanted = [("losses", "total"), *(("scores", name) for name in _names(records, "scores"))]
    wanted += [("losses", name) for name in parts if len(parts) > 1]
    wanted += [("facts", name) for name in _names(records, "facts")]
    found = {HEADINGS.get(name, name): _points(records, kind, name) for kind, name in wanted}
    found["learning rate"] = [(float(r["step"]), float(r["lr"])) for r in records if "lr" in r]
    return {heading: points for heading, points in found.items() if points}


def _names(records: Sequence[Mapping[str, Any]], kind: str) -> list[str]:
    return list(dict.fromkeys(name for record in records for name in record.get(kind, {})))


def _points(records: Sequence[Mapping[str, Any]], kind: str, name: str) -> Points:
    values = ((record["step"], record.get(kind, {}).get(name)) for record in records)
    return [(float(step), float(value)) for step, value in values if value is not None]
