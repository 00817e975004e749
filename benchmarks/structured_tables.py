"""docs/structured.md from results/structured.json."""

import json
from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path
from statistics import mean

from espalier.files import write_text

PAGE = Path(__file__).parent.parent / "docs" / "structured.md"
NAMES = {
    "scratch": "the same widths from scratch", "l1": "L1 norm (`magnitude`)", "srp": "`srp`", "assl": "`assl`",
    "gassl": "`gassl`", "calibrated": "`calibrated`", "guided": "`guided` (ours)",
}  # fmt: skip
TEXT = """\
# Structured methods at equal cost

{cells} cells of `benchmarks/structured.py`, the small preset: the bundled EDSR x2 (8 blocks, 48 channels),
trained further on T91 and measured on Set5 (Y, border 2). Every cell has {steps} training steps in all (batch 4,
patches of 24, Adam, 5e-4): methods that learn spend {learned} of them with their penalty or between their rounds
and the rest on recovery, the others spend all on recovery. Recovery is L1 on the images for all, with a cosine
schedule. `calibrated` and `guided` also run the dense network over patches, and `guided` has it as a teacher in
its rounds. The budget of a column is the MACs of the network whose every layer lost that share of its channels.
{seeds} Written by `python benchmarks/structured.py small --tables`; espalier {environment[espalier]}, torch
{environment[torch]}, one thread of a machine shared with others, so no times are given.

## PSNR on Set5 after {steps} steps, dB

The dense network gives {dense:.2f} dB, bicubic 33.67 dB.

{psnr}

## The same before recovery

What the method itself leaves; for those that learn, after their {learned} steps.

{pruned}

## Removal

PSNR on the first three images of Set5, just before and just after the channels that were pressed to nothing are
cut away, without recovery.

{removal}

{analysis}
"""


ANALYSIS = """\
"""


def write_tables(results: Path, page_at: Path = PAGE) -> None:
    """Read the JSON, write the page."""
    found = json.loads(results.read_text(encoding="utf-8"))
    small = [row for row in found["rows"] if row["preset"] == "small"]
    seeds = len({row["seed"] for row in small})
    page = TEXT.format(
        cells=len(small), steps=small[0]["steps"], learned=max(row["learned"] for row in small),
        seeds="One seed." if seeds == 1 else f"Means of {seeds} seeds.", environment=found["environment"],
        dense=small[0]["dense"]["Set5"], psnr=by_ratio(small, "psnr"), pruned=by_ratio(small, "pruned"),
        removal=removal(found["rows"]), analysis=ANALYSIS,
    )  # fmt: skip
    write_text(page_at, page.rstrip() + "\n")


def by_ratio(rows: list[dict], key: str) -> str:
    """Methods down, shares of channels across; the best of each column is bold."""
    cells: dict[tuple[str, float], list[float]] = defaultdict(list)
    for row in rows:
        cells[row["method"], row["ratio"]].append(row[key]["Set5"])
    ratios = sorted({ratio for _, ratio in cells})
    best = {r: max(mean(v) for (_, at), v in cells.items() if at == r) for r in ratios}

    def shown(name: str, ratio: float) -> str:
        if (name, ratio) not in cells:
            return ""
        value = mean(cells[name, ratio])
        return f"**{value:.2f}**" if value == best[ratio] else f"{value:.2f}"

    macs = {r: mean(row["macs"] for row in rows if row["ratio"] == r) for r in ratios}
    head = ["", *(f"{r:.0%} of channels gone ({macs[r]:.0%} of the MACs left)" for r in ratios)]
    present = [name for name in NAMES if any((name, r) in cells for r in ratios)]
    return markdown(head, [[NAMES[name], *(shown(name, r) for r in ratios)] for name in present])


def removal(rows: list[dict]) -> str:
    """One line for each cell whose method pressed channels to nothing."""
    lines = []
    for row in rows:
        notes = row["removal"]
        if "psnr before removal" in notes:
            before, after = notes["psnr before removal"], notes["psnr after removal"]
            network = {"small": "EDSR x2", "removal": "RNet x4", "full": "EDSR-baseline x2"}[row["preset"]]
            share = [f"{row['ratio']:.0%}", f"{row['macs']:.0%}", str(row["learned"])]
            lines.append(
                [
                    network,
                    NAMES[row["method"]],
                    *share,
                    f"{before:.3f}",
                    f"{after:.3f}",
                    f"{after - before:+.3f}",
                ]
            )
    head = ["network", "method", "channels gone", "MACs left", "steps", "before, dB", "after, dB", "change"]
    return markdown(head, sorted(lines))


def markdown(header: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    """A table whose columns but the first are aligned right."""
    head = list(header)
    lines = [head, ["---", *["--:"] * (len(head) - 1)], *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)
