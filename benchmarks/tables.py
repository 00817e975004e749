"""The tables of docs/ from benchmarks/results/: python benchmarks/tables.py"""

import json
from collections.abc import Iterable, Mapping
from itertools import pairwise
from pathlib import Path
from statistics import median
from typing import Any

from pages import markdown
from rows import ROWS

DOCS = Path(__file__).parent.parent / "docs"
RESULTS = Path(__file__).parent / "results"

ARCHITECTURES = """\
# 37 architectures

Every network as its class makes it, with random weights, half of the channels of every group removed (the same
share everywhere), **no hint given**. MACs are counted on the network that was cut, for a 64 × 64 input (or the
next size that the network takes). The rows were run in several goes.
Written by `benchmarks/architectures.py`; {versions}.

- **graph**: tracing and grouping; **analyse**: that and the proof of every group. For Torch-Pruning (TP), the graph,
  and the construction of its pruner (graph included). Processor seconds of one thread, the least of two turns
  in one process (`benchmarks/analysis_times.py`), both at a {small} image.
- **MACs**, **params**: how many times fewer. Halving every width gives 4× at most, less what is tied to the image's
  three colours.
- **proof**: largest difference between the cut network and the whole one whose cut channels contribute nothing, in
  float64, relative to the largest output. While it searches, `analyse` proves on a smaller image where the network
  runs the same operators on it.
- **in groups**: share of the parameters that lie in proven groups.
- **reload**: largest difference of the output after saving, and loading in a fresh process.
- **TP**: `MetaPruner` with `GroupMagnitudeImportance`, the layers of three outputs ignored, as its README shows.
  It reloads from no state_dict: the class it came from makes the unpruned sizes.

{summary}

{table}

## Where less than 3.5× is left

Products of attention over positions and depthwise convolutions cost in proportion to one width, not to two, so half
of it is half of the cost; so do layers that end in the image's three colours.

{short}

## What lies outside the groups

Where more than 0.05% of the parameters do, in the rows timed last. In the two networks of convolutions alone, these
constants forbid more: SwiftSRGAN makes slopes for 17 PReLUs that its `forward` never calls, and filters the image's
three colours one by one; RealPLKSR with DySample adds the image repeated 4² times to its last features, so they have
to be 3 × 16 = 48, and what its two layers make of them are coordinates of `grid_sample`, whose meaning is fixed.

{outside}

## Where ONNX fails

By torch's own exporter, which fails on the whole network as on the cut one: it has no function for `aten.sort.stable`
(ATD), and cannot follow a list index that depends on the image (SeemoRe's choice of experts). AuraSR was not tried.

## What stopped Torch-Pruning

{failures}

## Growing networks

Processor seconds of `analyse` (trace, groups and proof) when the number of blocks doubles: medians of {turns} turns, in
each of which every size runs once; in brackets the least and the most. RCAN's two groups of blocks stay, their length
doubles; SwinIR gets more groups of two blocks.

{growth}
"""


def times_fewer(pair: Any) -> str:
    return f"{pair[0] / pair[1]:.2f}×" if pair else "-"


def seconds(value: Any) -> str:
    return "-" if value is None else f"{value:.1f}"


def number(value: Any) -> str:
    if value is None or isinstance(value, str):
        return "-" if value is None else "fails"
    return "0" if value == 0 else f"{value:.0e}"


def write_architectures(results: Mapping[str, Any], path: Path) -> None:
    """The survey as a page."""
    place = {row.name: number for number, row in enumerate(ROWS)}
    rows = dict(sorted(results["rows"].items(), key=lambda item: place.get(item[0], len(place))))
    onnx = any("onnx" in row.get("espalier", {}) for row in rows.values())
    header = ["network", "graph s", "analyse s", "MACs", "params", "proof", "in groups", "reload"]
    header += ["ONNX"] if onnx else []
    header += ["TP graph s", "TP pruner s", "TP MACs"]
    text = ARCHITECTURES.format(
        versions=", ".join(f"{name} {version}" for name, version in results.get("versions", {}).items()),
        small="24 × 32",
        summary=summary(rows),
        table=markdown(header, (architecture(name, row, onnx) for name, row in rows.items())),
        short=short(rows),
        outside=outside(rows),
        failures=failures(rows),
        turns=min(len(cell["turns"]) for row in results["growth"].values() for cell in row.values()),
        growth=growth(results["growth"]),
    )
    path.parent.mkdir(exist_ok=True)
    path.write_text(text, encoding="utf-8")


def architecture(name: str, row: Mapping[str, Any], onnx: bool) -> list[str]:
    ours, theirs = row.get("espalier", {}), row.get("torch-pruning", {})
    cells = [name, seconds(ours.get("graph_s")), seconds(ours.get("analyse_s"))]
    if ours.get("runs"):
        proof = number(ours["difference"]) if ours["proven"] else f"**no**: {ours['reason']}"
        cells += [times_fewer(ours["macs"]), times_fewer(ours["params"]), proof, f"{ours['share']:.1%}"]
        cells += [number(ours["reload"])]
    else:
        cells += ["**fails**", "-", "-", "-", "-"]
    cells += [number(ours.get("onnx"))] if onnx else []
    outcome = times_fewer(theirs["macs"]) if theirs.get("runs") else "fails" if theirs else "not run"
    return [*cells, seconds(theirs.get("graph_s")), seconds(theirs.get("analyse_s")), outcome]


def summary(rows: Mapping[str, Any]) -> str:
    ours = [row["espalier"] for row in rows.values() if "espalier" in row]
    theirs = [row["torch-pruning"] for row in rows.values() if "torch-pruning" in row]
    whole = [o for o in ours if o.get("runs") and o["proven"] and o["reload"] == 0]
    lines = [
        f"Espalier: {len(whole)} of {len(rows)} run, proven, and reload to the same output; "
        f"{reaching(ours)} reach 3.5× fewer MACs; slowest analysis {max(o.get('analyse_s', 0) for o in ours):.1f} s."
    ]
    if theirs:
        lines += [
            f"Torch-Pruning: {sum(bool(t.get('runs')) for t in theirs)} of {len(theirs)} run; "
            f"{reaching(theirs)} reach 3.5×."
        ]
    newest = max(o.get("code", 0) for o in ours)
    fresh = [name for name, row in rows.items() if row.get("espalier", {}).get("code", 0) == newest]
    if len(fresh) < len(rows):
        lines += [
            f"Timed with the code as it is, beside much other work on the machine: {', '.join(fresh)}; the other "
            "seconds come from earlier, slower code with nothing else running."
        ]
    small, large = ratios(rows, "analyse_s"), ratios(rows, "analyse_large_s")
    if small and large:
        lines += [
            f"Analysis with proof over the construction of its pruner, median of {len(small)} networks: "
            f"{median(small):.2f} where both trace the small image, {median(large):.2f} where it traces 64 × 64. "
            "What remains at equal size is the proof, several runs in float64, of which Torch-Pruning makes none."
        ]
    return "\n".join(lines)


def timed(rows: Mapping[str, Any]) -> list[Any]:
    """The rows that `analysis_times.py` has timed; all where it has timed none."""
    return [row for row in rows.values() if "turns" in row.get("espalier", {})] or list(rows.values())


def ratios(rows: Mapping[str, Any], key: str) -> list[float]:
    """Our time over Torch-Pruning's, wherever its pruner could be made, of the rows timed turn by turn."""
    pairs = ((row.get("espalier", {}), row.get("torch-pruning", {})) for row in timed(rows))
    return [o["analyse_s"] / max(t[key], 1e-3) for o, t in pairs if "analyse_s" in o and key in t]


def reaching(results: Iterable[Mapping[str, Any]]) -> int:
    return sum(bool(r.get("runs")) and r["macs"][0] / r["macs"][1] >= 3.5 for r in results)


def short(rows: Mapping[str, Any]) -> str:
    """What shrinks least in the networks that stay below 3.5."""
    found = []
    for name, row in rows.items():
        ours = row.get("espalier", {})
        if ours.get("runs") and ours["macs"][0] / ours["macs"][1] < 3.5:
            parts = sorted(ours.get("held_back", {}).items(), key=lambda part: -part[1][0])
            told = "; ".join(
                f"{share:.0%} of the MACs are {kind}, {ratio:.1f}× fewer" for kind, (share, ratio) in parts
            )
            found.append([name, times_fewer(ours["macs"]), told])
    return markdown(["network", "MACs", "why"], found)


def outside(rows: Mapping[str, Any]) -> str:
    """Which parameters no proven group holds, and why."""
    found = [
        [name, f"{share:.1%}", reason.replace("|", "/")]
        for name, row in rows.items()
        for reason, share in sorted(row.get("espalier", {}).get("outside", {}).items(), key=lambda r: -r[1])
        if share > 0.0005
    ]
    lines = [["network", "parameters", "why"], ["---", "---:", "---"], *found]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def failures(rows: Mapping[str, Any]) -> str:
    found = [
        [name, row["torch-pruning"].get("reason", "the output has another size").replace("|", "/")]
        for name, row in rows.items()
        if not row.get("torch-pruning", {"runs": True}).get("runs")
    ]
    lines = ["| " + " | ".join(line) + " |" for line in [["network", "why"], ["---", "---"], *found]]
    return "\n".join(lines)


def growth(results: Mapping[str, Any]) -> str:
    rows = []
    for family, found in results.items():
        cells = [found[times] for times in sorted(found, key=int)]
        told = [f"{c['analyse_s']:.2f} ({min(c['turns']):.2f} to {max(c['turns']):.2f})" for c in cells]
        steps = [b["analyse_s"] / a["analyse_s"] for a, b in pairwise(cells)]
        rows.append([family, *told, ", ".join(f"{step:.2f}" for step in steps)])
    times = sorted(next(iter(results.values()), {}), key=int)
    return markdown(["blocks", *(f"{k}×" for k in times), "times slower per doubling"], rows)


if __name__ == "__main__":
    stored = json.loads((RESULTS / "architectures.json").read_text(encoding="utf-8"))
    write_architectures(stored, DOCS / "architectures.md")
