"""docs/calibrated.md and a table of README.md from benchmarks/results: python benchmarks/calibrated_tables.py"""

from pathlib import Path
from typing import Any

from defaults import RESULTS as BY_DEFAULT
from defaults import front as by_default
from kept import read
from pages import markdown, put

from espalier.files import write_text

HERE = Path(__file__).parent
DOCS = HERE.parent / "docs"
PAGE = (HERE / "calibrated.md.template").read_text(encoding="utf-8")
SETS = ("Set5", "Set14", "BSD100")
WAYS = {
    "calibrated": "calibrated",
    "refitted": "calibrated, not polished",
    "equal shares": "equal shares, not polished",
    "magnitude": "magnitude",
    "torch-pruning": "Torch-Pruning",
}

FRONT = ("IMDN_x4", "RFDN", "RNet", "SPAN")

STARTS = {
    "calibrated": "calibrated",
    "refitted": "calibrated, not polished",
    "torch-pruning": "Torch-Pruning",
    "magnitude": "magnitude",
    "scratch": "random weights",
}
WORK = 3e12
"""Multiply-adds of training in benchmarks/recovery.py."""
PRUNED = ("soap", 4e-3)
RATES = {"calibrated": PRUNED, "magnitude": PRUNED, "torch-pruning": PRUNED, "scratch": ("adam", 1e-3)}
"""Start -> optimizer and rate of the rows that all networks have."""


def usual(row: dict[str, Any]) -> bool:
    return (row["images"], row["source"], row["seed"]) == (32, "photographs", 0)


def quality(found: list[dict[str, Any]], test: str) -> str:
    """One line per network and budget, one column per way."""
    cells = {(r["network"], r["budget"], r["way"]): r for r in found if usual(r)}
    pairs = sorted({key[:2] for key in cells}, key=lambda pair: (pair[0].lower(), -pair[1]))
    lines = []
    for name, budget in pairs:
        known = [
            r["dense"][test] for key, r in cells.items() if key[:2] == (name, budget) and test in r["dense"]
        ]
        dense = known[0] if known else None
        values = [psnr(cells.get((name, budget, way)), test) for way in WAYS]
        if dense is not None and any(value not in ("", "fails") for value in values):
            lines.append((f"{name} {budget:g}", f"{dense:.2f}", *values))
    return markdown(("", "dense", *WAYS.values()), lines) if lines else "Not measured yet."


def front(found: list[dict[str, Any]]) -> str:
    """The table of the README: some networks at half the MACs on Set5."""
    cells = {(r["network"], r["way"]): r for r in found if usual(r) and r["budget"] == 0.5}
    lines = []
    for name in FRONT:
        ways = [cells[name, way] for way in ("calibrated", "magnitude")]
        lines.append(
            [name.replace("_x4", ""), f"{ways[0]['dense']['Set5']:.2f}", *(psnr(r, "Set5") for r in ways)]
        )
    return markdown(("x4", "dense", "calibrated", "magnitude"), lines)


def psnr(row: dict[str, Any] | None, test: str) -> str:
    if row is None:
        return ""
    if "failed" in row:
        return "fails"
    return f"{row['psnr'][test]:.2f}" if test in row["psnr"] else ""


def failures(found: list[dict[str, Any]]) -> str:
    lines = [(f"{r['network']} {r['budget']:g}", f"`{r['failed']}`") for r in found if "failed" in r]
    return markdown(("", "what it says"), lines) if lines else "It ran on all of them."


def prices(found: list[dict[str, Any]]) -> str:
    """Time and memory at half the MACs, by name."""
    lines = [
        (
            r["network"] + (", not polished" if r["way"] == "refitted" else ""),
            f"{r['cpu_seconds']:.0f} s",
            f"{r['wall_seconds']:.0f} s" if r.get("threads") == 2 else "",
            f"{r['peak_mib']} MiB",
            f"{r['macs']:.3f}",
            f"{r['params']:.3f}",
        )
        for r in sorted(found, key=lambda r: (r["network"].lower(), r["way"] == "calibrated"))
        if r["way"] in ("calibrated", "refitted") and r["budget"] == 0.5 and usual(r)
    ]
    return markdown(
        ("", "processor time", "on two cores", "peak of the process", "MACs left", "parameters left"), lines
    )


def inner(found: list[dict[str, Any]]) -> str:
    cells = {(r["kept"], r["polish"], r["way"]): r for r in found if r["seed"] == 0}
    lines = []
    for kept, polish in sorted({key[:2] for key in cells}, key=lambda key: (-key[0], key[1])):
        before, after = (cells[kept, polish, way] for way in ("refitted", "calibrated"))
        values = [f"{r['psnr'][test]:.2f}" for test in ("Set5", "Set14") for r in (before, after)]
        seconds = [f"{r['cpu_seconds']:.0f} s" for r in (before, after)]
        lines.append((f"{kept} of 64", str(polish), *values, *seconds))
    head = [
        f"{test}, {when}" for test in ("Set5", "Set14", "processor time") for when in ("refitted", "polished")
    ]
    return markdown(("inner channels", "steps of polishing", *head), lines)


def groups(found: list[dict[str, Any]]) -> str:
    lines = [
        (
            r["network"],
            "all" if r["group"] == "all" else f"`{r['group']}`",
            f"{r['left']} of {r['of']}",
            f"{r['saved']:.1%}",
            f"{r['predicted']:.0%}",
            f"{r['lost']:.2f}",
        )
        for r in found
    ]
    return markdown(
        ("", "group", "channels left", "MACs saved", "share of predicted damage", "dB lost"), lines
    )


def compared(row: dict[str, Any]) -> bool:
    """Whether other networks have a row of this kind."""
    return row["work"] == WORK and RATES.get(row["start"]) == (row["optimizer"], row["rate"])


def recovery(found: list[dict[str, Any]], test: str) -> str:
    """One line per network and budget, one column per start: PSNR before and after equal work."""
    cells = {(r["network"], r["budget"], r["start"]): r for r in found if compared(r)}
    pairs = sorted({key[:2] for key in cells}, key=lambda pair: (pair[0].lower(), -pair[1]))
    lines = []
    for name, budget in pairs:
        there = [cells.get((name, budget, start)) for start in RATES]
        dense = [r["dense"][test] for r in there if r and test in r.get("dense", {})]
        if dense:
            lines.append((f"{name} {budget:g}", f"{dense[0]:.2f}", *(change(r, test) for r in there)))
    return (
        markdown(("", "dense", *(STARTS[start] for start in RATES)), lines) if lines else "Not measured yet."
    )


def change(row: dict[str, Any] | None, test: str) -> str:
    if row is None or "failed" in row:
        return "" if row is None else "fails"
    return f"{row['before'][test]:.2f} → {row['psnr'][test]:.2f}" if test in row["psnr"] else ""


def steps(found: list[dict[str, Any]]) -> str:
    """What the work of the tables above was for ours, by share of the MACs left."""
    cells = {(r["network"], r["budget"]): r for r in found if compared(r) and r["start"] == "calibrated"}
    budgets = sorted({budget for _, budget in cells}, reverse=True)
    lines = [
        (name, *(amount(cells.get((name, budget))) for budget in budgets))
        for name in sorted({name for name, _ in cells}, key=str.lower)
    ]
    return markdown(("", *(f"{budget:g}" for budget in budgets)), lines)


def amount(row: dict[str, Any] | None) -> str:
    return f"{row['steps']} steps, {row['cpu_seconds']:.0f} s" if row else ""


def others(found: list[dict[str, Any]]) -> str:
    """Other optimizers, rates and amounts of work."""
    lines = [
        (r["network"], STARTS[r["start"]], r["optimizer"], f"{r['rate']:g}", f"{r['work']:.0e}", *trained(r))
        for r in found
        if not compared(r) and "failed" not in r
    ]
    return markdown(("", "from", "optimizer", "rate", "work", "steps", "processor time", *WHEN), lines)


WHEN = [f"{test} {when}" for test in ("Set5", "Set14") for when in ("dense", "before", "after")]


def trained(row: dict[str, Any]) -> list[str]:
    values = [row[when][test] for test in ("Set5", "Set14") for when in ("dense", "before", "psnr")]
    return [str(row["steps"]), f"{row['cpu_seconds']:.0f} s", *(f"{value:.2f}" for value in values)]


def spread(found: list[dict[str, Any]]) -> str:
    lines = [
        (r["network"], str(r["images"]), r["source"], str(r["seed"]), f"{r['psnr']['Set5']:.2f}")
        for r in found
        if r["way"] == "one draft" and "Set5" in r.get("psnr", {})
    ]
    return markdown(("", "images", "of", "seed", "Set5"), sorted(lines)) if lines else "Not measured yet."


def latency(found: list[dict[str, Any]]) -> str:
    lines = [
        (f"{r['network']}, {label}", *(f"{c[key]:.3g}" for key in ("ms", "macs", "speedup", "realised")))
        for r in found
        for label, c in r["cells"].items()
        if label != "dense"
    ]  # fmt: skip
    return markdown(("", "ms", "MACs left", "speed-up", "speed-up / MAC reduction"), lines)


def growth(found: list[dict[str, Any]]) -> str:
    lines = [
        (str(r["blocks"]), str(r["layers"]), f"{r['cpu_seconds']:.1f} s", f"{r['ratio']:.2f}") for r in found
    ]
    return markdown(("blocks", "layers", "processor time", "time per layer, beside the first row"), lines)


def main() -> None:
    found, recovered = read("calibrated.json"), read("recovery.json")
    page = PAGE.format(
        quality="\n\n".join(f"### {t}\n\n{quality(found, t)}" for t in SETS),
        failures=failures(found),
        prices=prices(found),
        inner=inner(read("calibrated_inner.json")),
        groups=groups(read("calibrated_groups.json")),
        recovery="\n\n".join(f"### {t}, recovered\n\n{recovery(recovered, t)}" for t in SETS),
        steps=steps(recovered),
        defaults=by_default(read(BY_DEFAULT)),
        others=others(recovered),
        spread=spread(found),
        latency=latency(read("latency.json")),
        growth=growth(read("calibrated_growth.json")),
    )
    write_text(DOCS / "calibrated.md", page)
    put(HERE.parent / "README.md", front(found), "calibrated_tables")


if __name__ == "__main__":
    main()
