"""docs/unstructured.md from benchmarks/results/unstructured.json."""

import math
from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path
from statistics import mean, stdev
from typing import Any

from unstructured_aim import table

SETS = ("Set5", "Set14", "BSD100")
NAMES = {
    "few": "Few data: EDSR ×2 of 4 blocks and 16 channels, trained on one image of 196 × 176 pixels",
    "small": "EDSR ×2 of 2 blocks and 16 channels, trained on T91 for 4000 steps before",
    "rnet": "RNet ×4, published weights",
    "span": "SPAN ×4, published weights",
    "imdn": "IMDN ×2, published weights",
    "swinir": "SwinIR ×2 of 4 blocks and 36 channels, trained on T91 for 3000 steps before",
}
AHEAD = "▲"
ENDS_DENSE = "dense-sparse-dense"

TEMPLATE = Path(__file__).with_name("unstructured.md.template")


def page(content: Mapping[str, Any]) -> str:
    rows, environment = content["rows"], content.get("environment", {})
    told = ", ".join(str(environment[name]) for name in ("torch", "device") if name in environment)
    networks = dict.fromkeys(row["network"] for row in rows)
    tables = "".join(_table(name, [row for row in rows if row["network"] == name]) for name in networks)
    return TEMPLATE.read_text(encoding="utf-8").format(
        environment=f"torch {told}",
        aim=table(rows),
        tables=tables.rstrip(),
        sizes=_sizes(rows),
        speed=_speed(content.get("speed")),
        held=_held(content.get("held", [])),
    )


def _table(network: str, rows: list[Mapping[str, Any]]) -> str:
    sets = [name for name in SETS if any(name in row["quality"] for row in rows)]
    lines = [
        f"## {NAMES.get(network, network)}",
        "",
        f"{_length(rows)}, {_seeds(rows)}{_machines(rows)}.",
        "",
        "| sparsity | | " + " | ".join(sets) + " |",
        "|---:|---|" + "---:|" * len(sets),
    ]
    dense = _of(rows, "dense")
    for share in sorted({row["sparsity"] for row in rows}):
        here = [row for row in rows if row["sparsity"] == share]
        sparse = [row for row in here if row["way"] != ENDS_DENSE]
        best = {name: max(_means(sparse, name), default=math.inf) for name in sets}
        for way in _ways(here):
            found = _of(here, way)
            mark = f" {AHEAD}" if share and _ahead(found, dense, sets) else ""
            lines.append(_line(share, way + mark, found, best))
    return "\n".join([*lines, "", ""])


def _length(rows: list[Mapping[str, Any]]) -> str:
    trained = [row for row in rows if not row["way"].endswith("untrained")]
    return (
        f"{trained[0]['steps']} steps at a learning rate of {trained[0]['lr']:g}"
        if trained
        else "None trained"
    )


def _seeds(rows: Iterable[Mapping[str, Any]]) -> str:
    counts = Counter((row["sparsity"], row["way"]) for row in rows).values()
    low, high = min(counts), max(counts)
    return (f"{high}" if low == high else f"{low} to {high}") + f" seed{'s' * (high > 1)}"


def _machines(rows: Iterable[Mapping[str, Any]]) -> str:
    """Those that are not the page's."""
    named = dict.fromkeys(row["device"] for row in rows if "device" in row)
    return f", on {' and '.join(named)}" if named else ""


def _ways(rows: Iterable[Mapping[str, Any]]) -> list[str]:
    return list(dict.fromkeys(row["way"] for row in rows))


def _of(rows: Iterable[Mapping[str, Any]], way: str) -> list[Mapping[str, Any]]:
    return [row for row in rows if row["way"] == way]


def _shown(rows: Iterable[Mapping[str, Any]], name: str) -> list[Mapping[str, Any]]:
    """Those that were measured on a set."""
    return [row for row in rows if name in row["quality"]]


def _means(rows: list[Mapping[str, Any]], name: str) -> list[float]:
    """Of each way that was measured on a set."""
    shown = _shown(rows, name)
    return [_mean(_of(shown, way), name, "psnr") for way in _ways(shown)]


def _mean(rows: list[Mapping[str, Any]], name: str, measure: str) -> float:
    return mean(row["quality"][name][measure] for row in rows)


def _ahead(rows: list[Mapping[str, Any]], dense: list[Mapping[str, Any]], sets: list[str]) -> bool:
    """Whether the means are above those of the dense network, each of them."""
    common = [name for name in sets if _shown(rows, name) and _shown(dense, name)]
    return bool(common) and all(
        _mean(_shown(rows, name), name, measure) > _mean(_shown(dense, name), name, measure)
        for name in common
        for measure in ("psnr", "ssim")
    )


def _line(share: float, way: str, rows: list[Mapping[str, Any]], best: Mapping[str, float]) -> str:
    cells = []
    for name in best:
        shown = _shown(rows, name)
        values = [row["quality"][name]["psnr"] for row in shown]
        if not values:
            cells.append("")
            continue
        spread = f" ± {stdev(values):.3f}" if len(values) > 1 else ""
        text = f"{mean(values):.3f}{spread} ({_mean(shown, name, 'ssim'):.4f})"
        cells.append(f"**{text}**" if share and mean(values) == best[name] else text)
    return f"| {share:g} | {way} | " + " | ".join(cells) + " |"


def _sizes(rows: Iterable[Mapping[str, Any]]) -> str:
    lines = ["| network | sparsity | bytes | over the bound |", "|---|---:|---:|---:|"]
    found: dict[tuple[str, float], list[Mapping[str, Any]]] = {}
    for row in rows:
        if row["way"] != ENDS_DENSE:
            found.setdefault((row["network"], row["sparsity"]), []).append(row)
    for (network, share), same in sorted(found.items()):
        low, high = (pick(row["bytes"] for row in same) for pick in (min, max))
        worst = max(row["bytes"] / row["bound"] - 1 for row in same)
        size = f"{low:,}" if low == high else f"{low:,} to {high:,}"
        lines.append(f"| {network} | {share:g} | {size} | {worst:.2%} |")
    return "\n".join(lines)


def _held(rows: Iterable[Mapping[str, Any]]) -> str:
    lines = ["| network | sparsity | | held-out |", "|---|---:|---|---:|"]
    lines += [
        f"| {row['network']} | {row['sparsity']:g} | {row['way']} | {row['quality']['held-out']['psnr']:.3f} |"
        for row in rows
    ]
    return "\n".join(lines)


def _speed(found: Mapping[str, Any] | None) -> str:
    if found is None:
        return "Not measured."
    height, width = found["size"]
    ratio = found["zeros"]["ms"] / found["dense"]["ms"]
    return (
        f"With {found['sparsity']:.0%} of its weights zero the network takes {ratio:.2f} times the time of the "
        f"dense one ({found['zeros']['ms']:.1f} and {found['dense']['ms']:.1f} ms for an input of {width} × "
        f"{height}, measured in turn on one core): zeros without a pattern do not speed up common CPUs and GPUs, "
        "which multiply by them like by any number.\nThey make files smaller. N:M patterns are what sparse tensor "
        "cores take; no GPU was at hand to time them."
    )
