"""docs/unstructured.md from benchmarks/results/unstructured.json."""

from collections.abc import Iterable, Mapping
from statistics import mean, stdev
from typing import Any

SETS = ("Set5", "Set14", "BSD100")

PAGE = """\
# Sparse networks

Single weights set to zero by `--method sparse`, `dynamic` and `obs`, each beside the dense network trained as
long, at the same learning rate, from the same weights, on the same patches. PSNR in dB on Y, SSIM in brackets.
Written by `benchmarks/unstructured.py --table` from `benchmarks/results/unstructured.json`; {environment}.

{tables}
## Sizes of files

Tensors in the file (masks coded, values of 32 bits) against the bound: the values that stay, and each mask at
the entropy of independent zeros.

{sizes}

## Speed

{speed}

{notes}"""

NOTES = """\
## What this shows, and what not

- The networks are small and trained for minutes on one core, with few steps per row: differences of some
  hundredths of a dB between rows are within what another seed gives. Presets for RNet, IMDN and a SwinIR of the
  light size are in the script and were not run.
- The aim was a sparse network better than the dense one trained as long, at some sparsity from 0.3 up. **At the
  learning rate that suits the dense network best it was not reached.** Only where the rate is too high for the
  dense network is the sparse one ahead, by some thousandths of a dB, and `obs` trained on is then as good.
- Livelier revival and a longer search moved next to nothing. Exchanging weights by gradient (`regrow`) throws
  away refitted weights, and is worse the shorter the training.
- Steps balanced between layers as well gave the dense network nothing, and were left out.

What was tried on Set5, at sparsity 0.3, one seed:

{tried}
"""


def page(content: Mapping[str, Any]) -> str:
    rows, environment = content["rows"], content.get("environment", {})
    told = ", ".join(str(environment[name]) for name in ("torch", "device") if name in environment)
    networks = dict.fromkeys(row["network"] for row in rows)
    tables = "".join(_table(name, [row for row in rows if row["network"] == name]) for name in networks)
    return PAGE.format(
        environment=f"torch {told}",
        tables=tables,
        sizes=_sizes(rows),
        speed=_speed(content.get("speed")),
        notes=NOTES.format(tried=_tried(content.get("tried", []))),
    )


def _table(network: str, rows: list[Mapping[str, Any]]) -> str:
    seeds = sorted({row["seed"] for row in rows})
    first = rows[0]
    sets = [name for name in SETS if all(name in row["quality"] for row in rows)]
    lines = [
        f"## {network}",
        "",
        f"{first['steps']} steps at a learning rate of {first['lr']:g}, {len(seeds)} seed{'s' * (len(seeds) > 1)}.",
        "",
        "| sparsity | | " + " | ".join(sets) + " |",
        "|---:|---|" + "---:|" * len(sets),
    ]
    for share in sorted({row["sparsity"] for row in rows}):
        here = [row for row in rows if row["sparsity"] == share]
        best = {name: max(_psnr(_of(here, way), name) for way in _ways(here)) for name in sets}
        lines += [_line(share, way, _of(here, way), best) for way in _ways(here)]
    return "\n".join([*lines, "", ""])


def _ways(rows: Iterable[Mapping[str, Any]]) -> list[str]:
    return list(dict.fromkeys(row["way"] for row in rows))


def _of(rows: Iterable[Mapping[str, Any]], way: str) -> list[Mapping[str, Any]]:
    return [row for row in rows if row["way"] == way]


def _psnr(rows: list[Mapping[str, Any]], name: str) -> float:
    return mean(row["quality"][name]["psnr"] for row in rows)


def _line(share: float, way: str, rows: list[Mapping[str, Any]], best: Mapping[str, float]) -> str:
    cells = []
    for name in best:
        values = [row["quality"][name]["psnr"] for row in rows]
        spread = f" ± {stdev(values):.3f}" if len(values) > 1 else ""
        ssim = mean(row["quality"][name]["ssim"] for row in rows)
        text = f"{mean(values):.3f}{spread} ({ssim:.4f})"
        cells.append(f"**{text}**" if share and mean(values) == best[name] else text)
    return f"| {share:g} | {way} | " + " | ".join(cells) + " |"


def _sizes(rows: Iterable[Mapping[str, Any]]) -> str:
    lines = ["| network | sparsity | bytes | over the bound |", "|---|---:|---:|---:|"]
    found: dict[tuple[str, float], list[Mapping[str, Any]]] = {}
    for row in rows:
        found.setdefault((row["network"], row["sparsity"]), []).append(row)
    for (network, share), same in sorted(found.items()):
        low, high = (pick(row["bytes"] for row in same) for pick in (min, max))
        worst = max(row["bytes"] / row["bound"] - 1 for row in same)
        size = f"{low:,}" if low == high else f"{low:,} to {high:,}"
        lines.append(f"| {network} | {share:g} | {size} | {worst:.2%} |")
    return "\n".join(lines)


def _tried(rows: Iterable[Mapping[str, Any]]) -> str:
    lines = ["| learning rate | images | | changed | Set5 |", "|---:|---:|---|---|---:|"]
    lines += [
        f"| {row['lr']:g} | {row['images']} | {row['way']} | {row['changed']} | {row['Set5']:.3f} |"
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
