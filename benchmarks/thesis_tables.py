"""docs/thesis.md from results/thesis.json."""

import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from statistics import mean
from typing import Any

from pages import markdown
from thesis_ways import PRESETS, WAYS, Preset

from espalier.files import write_text

PAGE = Path(__file__).parent.parent / "docs" / "thesis.md"
NAMES = {
    "bicubic": "bicubic",
    "dense": "dense",
    "scratch": "the same widths from scratch",
    "l2": "group norm, one step",
    "greg": "`greg`, one step",
    "group_sparse": "`group_sparse`, one step",
    "stepwise-4": "`stepwise`, 4 steps, group-sparse",
    "stepwise-8": "`stepwise`, 8 steps, group-sparse",
    "stepwise-4-growing": "`stepwise`, 4 steps, growing",
    "calibrated": "`calibrated` (ours)",
    "calibrated-polished": "`calibrated`, polished (ours)",
    "calibrated-soap": "`calibrated`, polished, recovered by SOAP (ours)",
    "guided": "`guided` (ours)",
    "guided-polished": "`guided` by SOAP, polished (ours)",
}
BASELINES = ("bicubic", "dense")
TEXT = """\
# DRLN and SwinIR with a tenth of the work

{cells} cells of `benchmarks/thesis.py`, ×{scale}, beside the dense networks and bicubic. A thesis on structured pruning
(Angelini, *sr_structured_pruning*) takes about 90 % off DRLN and SwinIR: sparsity is learned, channels are pruned, what
remains is tuned, in one step or linearly over 4 or 8. Its tables were not to be found, so nothing here is compared
with them; its schedule is.

- **Networks**, small and trained here from nothing on {images} (Adam, {lr:g}, cosine, batch {batch}, patches of
  {patch}), as there were no weights of DRLN and this ran on one thread:
{networks}
- **Cells**: {steps} training steps in all for every row, L1, Adam, {lr:g}, the same batches' size. Half of them learn
  sparsity where the method does; `stepwise` halves each round between sparsity and tuning, the last tuning is the
  recovery; `guided` takes a sixth between its two rounds; polishing is 120 steps of `calibrated` and 60 of `guided`,
  each of which sees eight times as many pixels (eight patches at once when this was measured, since then one after
  another, which goes further); all other steps are recovery with a cosine.
- **Cost**: the thesis' rows lose the same share of every group of channels; ours get the same MACs and spread them
  themselves. MACs are of a 964 x 540 input, as the thesis counts.
- **Quality**: PSNR [dB] and SSIM on Y, border {scale}, by the mean of eight flips and turns as the thesis tests;
  bicubic without.

{seeds} Written by `python benchmarks/thesis.py small --tables`; espalier {environment[espalier]}, torch
{environment[torch]}, {environment[device]}.

{tables}

{analysis}
"""
ANALYSIS = """\
## Reading

- **These runs are far too small to judge the thesis by.** Its networks have about 70 and 170 times as many
  parameters and are tuned for 50 to 150 epochs of DIV2K; here a dense network has {least} to {most} steps and a cell
  {steps}. The dense DRLN is hardly above bicubic.
- **Ours keep what was there.** A tenth of the DRLN's MACs, `calibrated`, is as good as the dense network before any
  training, and after {steps} steps 0.10 dB better by Adam and 0.38 dB by SOAP, as `espalier compress` recovers (it
  had not learned all it could). A ninth of the SwinIR's loses 0.9 dB by recovery alone, 0.6 dB polished, 0.5 dB
  polished and recovered by SOAP.
- **Learning between two cuts** gains a little where nothing is polished: `guided` is 0.09 dB above `calibrated` on
  the DRLN and 0.13 dB on the SwinIR. Polished it is level on the DRLN and behind on the SwinIR. One seed.
- **The thesis' rows want their tens of epochs.** With a tenth of the MACs `greg` in one step is best: by the
  self-ensemble just above bicubic on the DRLN, and 1.3 dB below it on the SwinIR, 6 dB above the same widths from
  scratch. Sparsity learning by group norm and more steps do not pay in so short a run: of {steps} training steps
  four rounds leave 38 for the last tuning, eight leave 19.
- **With nine tenths of every layer's channels gone** 1 to 2 % of the MACs are left. The DRLN is still above bicubic
  by the self-ensemble, 0.6 dB below without: 33.8 dB by `calibrated` and SOAP, 28.0 by `greg`, 25.7 from scratch.
  The SwinIR, three channels wide then, has 31.3 dB by `calibrated`, and every recovery harms it (30.4 by SOAP, 29.0
  by Adam; SSIM rises): four patches of 24 x 24 a step probably say too little about brightness. `espalier compress`
  would have ended with what recovery began with. `greg` has 25.2 dB, the same widths from scratch 19.4.
- **The self-ensemble flatters weak networks**: it gives the dense ones 0.3 and 0.5 dB, the others up to 1.5 dB.
{missing}"""
Row = dict[str, Any]


def write_tables(results: Path, page_at: Path = PAGE) -> None:
    """Read the JSON, write the page."""
    found = json.loads(results.read_text(encoding="utf-8"))
    rows = [row for row in found["rows"] if row["preset"] == "small"]
    cells = [row for row in rows if row["way"] not in BASELINES]
    preset, seeds = PRESETS["small"], len({row["seed"] for row in cells})
    page = TEXT.format(
        cells=len(cells), scale=preset.scale, networks=described(rows, preset), images=" and ".join(preset.train),
        lr=preset.lr, batch=preset.batch, patch=preset.patch, steps=preset.steps,
        seeds="One seed." if seeds == 1 else f"Means of {seeds} seeds.", environment=found["environment"],
        tables="\n\n".join(sections(rows)), analysis=analysis(rows, preset),
    )  # fmt: skip
    write_text(page_at, page.rstrip() + "\n")


def analysis(rows: Iterable[Row], preset: Preset) -> str:
    """What the tables say, and which cells they lack."""
    lengths = [row["steps"] for row in rows if row["way"] == "dense"]
    done = {(row["network"], row["way"], row["ratio"]) for row in rows}
    lacking = []
    for network, dense in preset.networks.items():
        for ratio in dense.ratios:
            ways = [f"`{way}`" for way in WAYS if (network, way, ratio) not in done]
            told = "all ways" if len(ways) == len(WAYS) else ", ".join(ways)
            lacking += [f"{network} at {ratio:.0%}: {told}"] if ways else []
    missing = f"- **Not measured yet**: {'; '.join(lacking)}.\n" if lacking else ""
    return ANALYSIS.format(least=min(lengths), most=max(lengths), steps=preset.steps, missing=missing)


def described(rows: Iterable[Row], preset: Preset) -> str:
    """What the dense networks are."""
    found = [row for row in rows if row["way"] == "dense"]
    return (
        ";\n".join(
            f"  {row['network']} `{preset.networks[row['network']].reference}`,\n"
            f"  {row['params'] / 1e3:,.0f} k parameters, {row['steps']} steps"
            for row in found
        )
        + "."
    )


def sections(rows: Sequence[Row]) -> list[str]:
    """A heading and a table for every network and share of channels."""
    places = sorted({(row["network"], row["ratio"]) for row in rows if row["ratio"]})
    return [section(rows, network, ratio) for network, ratio in places]


def section(rows: Sequence[Row], network: str, ratio: float) -> str:
    here = [row for row in rows if row["network"] == network and row["ratio"] in (0, ratio)]
    dense = next(row for row in here if row["way"] == "dense")
    macs = mean(row["macs"] for row in here if row["ratio"]) / dense["macs"]
    present = [name for name in NAMES if any(row["way"] == name for row in here)]
    lines = [line(name, [row for row in here if row["way"] == name], dense) for name in present]
    sets = list(dense["tuned"]["eight"])
    head = ["", "Params [k]", "MACs [G]", f"{sets[0]} before recovery", *sets]
    return f"## {network}: {ratio:.0%} of the channels gone, {macs:.1%} of the MACs left\n\n{markdown(head, lines)}"


def line(name: str, rows: Sequence[Row], dense: Row) -> list[str]:
    """One way, mean of its seeds."""
    if name == "bicubic":
        return [NAMES[name], "", "", "", *qualities(rows, "tuned", "plain")]
    params, macs = (mean(row[key] for row in rows) for key in ("params", "macs"))
    share = "" if name == "dense" else f" ({macs / dense['macs']:.1%})"
    before = "" if name in ("dense", "scratch") else qualities(rows, "pruned", "eight")[0]
    told = [f"{params / 1e3:,.1f}", f"{macs / 1e9:,.2f}{share}", before]
    return [NAMES[name], *told, *qualities(rows, "tuned", "eight")]


def qualities(rows: Sequence[Row], when: str, how: str) -> list[str]:
    """PSNR and SSIM of every set."""
    found = [row[when][how] for row in rows]
    return [
        f"{mean(each[name]['psnr'] for each in found):.2f} / {mean(each[name]['ssim'] for each in found):.4f}"
        for name in found[0]
    ]
