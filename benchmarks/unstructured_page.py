"""docs/unstructured.md from benchmarks/results/unstructured.json."""

import math
from collections import Counter
from collections.abc import Iterable, Mapping
from statistics import mean, stdev
from typing import Any

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

PAGE = """\
# Sparse networks

Single weights set to zero by `--method sparse`, `dynamic` and `obs`, each beside the dense network trained as
long, at the same learning rate, from the same weights, on the same patches. PSNR in dB on Y, SSIM in brackets.
▲: above that dense network in the mean PSNR and SSIM of all sets. Rows that are untrained took none of the steps.
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

**Few data.** The dense network learns its one image by heart and gets worse the longer it is trained; the row untrained
is where all begin, near its best. Sparse ones are held back from that. What this is worth, and what not:

- At 0.7 ours is 0.35, 0.33 and 0.31 dB above the dense network trained as long, on the three sets, in SSIM too, for
  each of three seeds; and 0.15, 0.10 and 0.08 dB above the dense network stopped before it got worse. It is above the
  one trained as long at 0.3, 0.5 and 0.9 as well, and so is LAMP at once.
- Above LAMP at once, in PSNR and SSIM on all sets: at 0.5, 0.7 and 0.9 (one, three, one seed). **Not at 0.3**: there
  LAMP is 0.02 and 0.03 dB ahead on Set14 and BSD100, and ours 0.02 dB on Set5 (two seeds, LAMP's spread is as large).
  Other static masks were not run here on the three sets, nor `obs` alone: how much of this is its start, how much the
  search, is not known.
- The regime was looked for. With flips and turns the same dense network does not overfit and is 1.07 dB higher on Set5,
  far more than zeros give; with half the learning rate and 1500 steps it does not get worse either. Zeros are no
  substitute for more data or for stopping early. Learning rate and steps were chosen on held-out images, see below.

**EDSR of 2 blocks on all of T91.**

- 22 thousand parameters, one seed, 300 steps a row: minutes on one busy core. Differences below about 0.01 dB mean
  nothing. Rows that are missing were not run.
- The aim was a sparse network better than the dense one trained as long, at some sparsity from 0.3 up. Here, where the
  network is too small for its data, **it was not reached**: at 0.3 the best sparse network is 0.004 to 0.007 dB below
  the dense one on the three sets. Only where the learning rate is too high for the dense network is a sparse one ahead
  on Set5, by some thousandths of a dB.
- Against masks by size, at once or gradual, `balanced` with the calibrated start is ahead wherever both were run.
  Nearly all of that is the start: `obs` trained on is within 0.006 dB of it up to a sparsity of 0.7. The search adds
  0.02 to 0.04 dB at 0.9 and 0.06 to 0.08 at 0.95.
- `balanced` that begins with all weights is ahead of the best mask by size (LAMP, at once) by 0.5 to 0.7 dB at 0.9, and
  0.4 to 0.6 dB behind the calibrated start.
- In so few steps the other searches that begin with all weights have no time to settle: `gradual`, `surgery` and
  `regrow` are below pruning at once with LAMP here. That says little about long training.
- Steps balanced between layers as well gave the dense network nothing, and were left out.
- The mean of the network's eight flips and turns as a teacher gave nothing: that mean is only 0.01 dB better than the
  network itself, and 300 steps towards the middle of it and the image lose 0.01 dB, sparse or dense.

**Published weights.**

- SPAN: `obs` alone, without a step of training, stays within 0.02 dB of the dense network at 0.3 and 0.11 dB at 0.5;
  masks by size without training fall apart.
- RNet: `obs` took more than six minutes of one core for one row and was stopped. IMDN and a SwinIR of the light size
  were not run; their presets are in the script.

What was tried afterwards, on images that no table above shows: middles (192 × 192 pixels) of 16 images of BSDS500/test,
one seed, PSNR on Y. Curves from scratch are of the mean of the weights (decay 0.998).

{searched}

What was tried before, on Set5, one seed:

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
        notes=NOTES.format(held=_held(content.get("held", []))),
    )


def _table(network: str, rows: list[Mapping[str, Any]]) -> str:
    sets = [name for name in SETS if any(name in row["quality"] for row in rows)]
    lines = [
        f"## {NAMES.get(network, network)}",
        "",
        f"{_length(rows)}, {_seeds(rows)}.",
        "",
        "| sparsity | | " + " | ".join(sets) + " |",
        "|---:|---|" + "---:|" * len(sets),
    ]
    dense = _of(rows, "dense")
    for share in sorted({row["sparsity"] for row in rows}):
        here = [row for row in rows if row["sparsity"] == share]
        best = {name: max(_means(here, name), default=math.inf) for name in sets}
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
