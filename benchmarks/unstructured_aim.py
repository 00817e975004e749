"""How far the sparse networks of ours are from the dense one trained as long, and from every other way."""

from collections.abc import Iterable, Mapping
from statistics import mean
from typing import Any

Rows = list[Mapping[str, Any]]
STATIC = ("one-shot", "gradual", "iterative")
DYNAMIC = ("hard", "shrink", "surgery", "regrow")
HEAD = (
    "| network | sparsity | ours | to dense | to masks by size | to obs | to other searches |",
    "|---|---:|---|---:|---:|---:|---:|",
)


def table(rows: Iterable[Mapping[str, Any]]) -> str:
    """A line per network, sparsity and way of ours; differences are those of the set where it does worst."""
    trained = [row for row in rows if not row["way"].endswith("untrained")]
    lines = []
    for network, share, way in dict.fromkeys(_key(row) for row in trained if "(ours)" in row["way"]):
        same = [row for row in trained if row["network"] == network]
        here = [row for row in same if row["sparsity"] == share]
        ours = [row for row in here if row["way"] == way]
        others = (
            [row for row in same if row["way"] == "dense"],
            [row for row in here if row["way"].startswith(STATIC)],
            [row for row in here if row["way"] == "obs"],
            [row for row in here if row["way"] in DYNAMIC],
        )
        cells = " | ".join(_told(ours, found) for found in others)
        lines.append((network, share, f"| {network} | {share:g} | {way.removesuffix(' (ours)')} | {cells} |"))
    return "\n".join([*HEAD, *(line for *_, line in sorted(lines, key=lambda line: line[:2]))])


def least(ours: Rows, others: Rows) -> float | None:
    """PSNR of ours above the best of the others, on the set where that is least; None without any other.

    Each is compared over the seeds that both have.
    """
    ways = [[row for row in others if row["way"] == way] for way in dict.fromkeys(o["way"] for o in others)]
    gaps = [_gaps(ours, rows) for rows in ways]
    return min((min(gap.values()) for gap in gaps if gap), default=None)


def _gaps(ours: Rows, others: Rows) -> dict[str, float]:
    """Set -> PSNR of ours above another way's, over the seeds that both have."""
    gaps = {}
    for name in dict.fromkeys(name for row in ours for name in row["quality"]):
        one, two = (_by_seed(rows, name) for rows in (ours, others))
        if seeds := one.keys() & two.keys():
            gaps[name] = mean(one[seed] - two[seed] for seed in seeds)
    return gaps


def _by_seed(rows: Rows, name: str) -> dict[int, float]:
    return {row["seed"]: row["quality"][name]["psnr"] for row in rows if name in row["quality"]}


def _told(ours: Rows, others: Rows) -> str:
    gap = least(ours, others)
    if gap is None:
        return ""
    count = len({row["way"] for row in others})
    return f"{gap:+.3f}" + (f" (of {count})" if count > 1 else "")


def _key(row: Mapping[str, Any]) -> tuple[str, float, str]:
    return row["network"], row["sparsity"], row["way"]
