"""docs/structured.md from results/structured.json."""

import json
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from statistics import mean
from typing import Any

from pages import markdown
from structured_text import ANALYSIS, SPREAD, TEXT

from espalier.files import write_text

PAGE = Path(__file__).parent.parent / "docs" / "structured.md"
NAMES = {
    "scratch": "the same widths from scratch", "l1": "L1 norm (`magnitude`)", "srp": "`srp`", "assl": "`assl`",
    "gassl": "`gassl`", "calibrated": "`calibrated` (ours)", "calibrated-polished": "`calibrated`, polished (ours)",
    "guided": "`guided` (ours)", "guided-polished": "`guided`, polished (ours)",
}  # fmt: skip
NETWORKS = {"small": "EDSR x2", "removal": "RNet x4", "full": "EDSR-baseline x2"}
SELECTIONS = {
    "small, 100 steps of selection at 5e-3": "100 steps at 5e-3 (travel 0.5), 200 of pressing, 300 of recovery",
    "small, 50 steps of selection at 4e-2": "50 steps at 4e-2 (travel 2), 250 of pressing, 300 of recovery",
    "small, 100 steps of selection at 2e-2": "100 steps at 2e-2 (travel 2), 200 of pressing, 300 of recovery",
    "small": "100 steps at 2e-2 (travel 2), 300 of pressing, 200 of recovery: as above",
}
"""Presets under which GASSL's selection was tried, and what to call them."""
GUIDED = "small, 60 steps between rounds, 120 of polishing"
LEADS = (
    ("l1", "scratch"), ("assl", "l1"), ("gassl", "assl"), ("calibrated", "gassl"),
    ("calibrated-polished", "gassl"), ("guided-polished", "gassl"), ("guided-polished", "calibrated-polished"),
)  # fmt: skip
"""Pairs of methods, the one that is expected to be better first."""
PUBLISHED = {
    ("l1", "scratch"): {0.1: 0.06, 0.3: 0.00, 0.5: -0.02, 0.7: 0.02, 0.9: 0.13},
    ("assl", "l1"): {0.1: 0.03, 0.3: 0.10, 0.5: 0.09, 0.7: 0.12, 0.9: 0.36},
}
"""On Set5, ratio -> dB: Zhang et al., NeurIPS 2021, table 1."""
Row = Mapping[str, Any]
Cells = Mapping[tuple[str, float], Sequence[float]]


def write_tables(results: Path, page_at: Path = PAGE) -> None:
    """Read the JSON, write the page."""
    found = json.loads(results.read_text(encoding="utf-8"))
    small = [row for row in found["rows"] if row["preset"] == "small" and row["method"] != "dense"]
    dense = next(r["psnr"] for r in found["rows"] if r["preset"] == "small" and r["method"] == "dense")
    first = [row for row in small if row["seed"] == 0]
    page = TEXT.format(
        cells=len(small), steps=small[0]["steps"], learned=max(r["learned"] for r in small if r["method"] == "assl"),
        environment=found["environment"], seeds=len({row["seed"] for row in small}),
        dense=", ".join(f"{value:.2f} on {name}" for name, value in dense.items()),
        psnr="\n\n".join(f"### {name}\n\n{by_ratio(first, 'psnr', name)}" for name in dense),
        spread=by_seed(small), leads=leads(small), pruned=by_ratio(first, "pruned", "Set5"),
        selection=selections(found["rows"]), removal=removal(found["rows"]),
        analysis=ANALYSIS.format(guided=trial(found["rows"])),
    )  # fmt: skip
    write_text(page_at, page.rstrip() + "\n")


def cells_of(rows: Iterable[Row], key: str, images: str) -> Cells:
    """Method and share -> one number for each seed."""
    cells: dict[tuple[str, float], list[float]] = defaultdict(list)
    for row in rows:
        if images in row[key]:
            cells[row["method"], row["ratio"]].append(row[key][images])
    return cells


def by_ratio(rows: Sequence[Row], key: str, images: str) -> str:
    """Methods down, shares of channels across; the best of each column is bold."""
    cells = cells_of(rows, key, images)
    ratios = sorted({ratio for _, ratio in cells})
    best = {r: max(mean(v) for (_, at), v in cells.items() if at == r) for r in ratios}

    def shown(name: str, ratio: float) -> str:
        if (name, ratio) not in cells:
            return ""
        value = mean(cells[name, ratio])
        return f"**{value:.2f}**" if value == best[ratio] else f"{value:.2f}"

    macs = {r: max(row["macs"] for row in rows if row["ratio"] == r) for r in ratios}
    head = ["", *(f"{r:.0%} of channels gone ({macs[r]:.0%} of the MACs left)" for r in ratios)]
    present = [name for name in NAMES if any((name, r) in cells for r in ratios)]
    return markdown(head, [[NAMES[name], *(shown(name, r) for r in ratios)] for name in present])


def by_seed(rows: Sequence[Row]) -> str:
    """A section with mean, lowest and highest of all that have several seeds; nothing where none has."""
    cells = {key: values for key, values in cells_of(rows, "psnr", "Set5").items() if len(values) > 1}
    ratios = sorted({ratio for _, ratio in cells})

    def shown(values: Sequence[float]) -> str:
        return f"{mean(values):.2f} ({min(values):.2f} to {max(values):.2f}; {len(values)})" if values else ""

    present = [name for name in NAMES if any((name, r) in cells for r in ratios)]
    lines = [[NAMES[name], *(shown(cells.get((name, r), ())) for r in ratios)] for name in present]
    return (
        SPREAD.format(table=markdown(["", *(f"{r:.0%} of channels gone" for r in ratios)], lines))
        if lines
        else ""
    )


def leads(rows: Sequence[Row]) -> str:
    """How far one method is above another on Set5, by the means over seeds that both have, and as published."""
    at = {(r["method"], r["ratio"], r["seed"]): r["psnr"]["Set5"] for r in rows}
    ratios = sorted({row["ratio"] for row in rows})

    def shown(better: str, other: str, ratio: float) -> str:
        both = [s for m, r, s in at if m == better and r == ratio and (other, ratio, s) in at]
        if not both:
            return ""
        lead = mean(at[better, ratio, s] - at[other, ratio, s] for s in both)
        known = PUBLISHED.get((better, other), {}).get(ratio)
        return f"{lead:+.2f}" + (f" ({known:+.2f})" if known is not None else "")

    lines = [[f"{NAMES[a]} over {NAMES[b]}", *(shown(a, b, r) for r in ratios)] for a, b in LEADS]
    return markdown(["dB (as published)", *(f"{r:.0%}" for r in ratios)], [n for n in lines if any(n[1:])])


def selections(rows: Sequence[Row]) -> str:
    """GASSL under different selections, seed 0, beside ASSL."""
    kinds = {name: [r for r in rows if r["preset"] == name and r["seed"] == 0] for name in SELECTIONS}
    found = {name: cells_of(kinds[name], "psnr", "Set5") for name in kinds}
    ratios = sorted({r for cells in found.values() for m, r in cells if m == "gassl"})

    def line(name: str, method: str) -> list[str]:
        cells = found[name]
        return [f"{mean(cells[method, r]):.2f}" if (method, r) in cells else "" for r in ratios]

    lines = [[SELECTIONS[name], *line(name, "gassl")] for name in SELECTIONS]
    return markdown(["", *(f"{r:.0%}" for r in ratios)], [*lines, ["`assl`", *line("small", "assl")]])


def trial(rows: Sequence[Row]) -> str:
    """`guided` with less learning and more polishing, on Set5."""
    return ", ".join(f"{r['psnr']['Set5']:.2f}" for r in rows if r["preset"] == GUIDED)


def removal(rows: Sequence[Row]) -> str:
    """One line for each cell whose method pressed channels to nothing, seed 0."""
    lines = []
    for row in rows:
        notes = row["removal"]
        if row["preset"] in NETWORKS and row["seed"] == 0 and "psnr before removal" in notes:
            before, after = notes["psnr before removal"], notes["psnr after removal"]
            share = [f"{row['ratio']:.0%}", f"{row['macs']:.0%}", str(row["learned"])]
            change = [f"{before:.3f}", f"{after:.3f}", f"{after - before:+.3f}"]
            lines.append([NETWORKS[row["preset"]], NAMES[row["method"]], *share, *change])
    head = ["network", "method", "channels gone", "MACs left", "steps", "before, dB", "after, dB", "change"]
    return markdown(head, sorted(lines))
