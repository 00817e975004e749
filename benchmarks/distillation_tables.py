"""Tables of docs/distillation.md."""

import json
from pathlib import Path
from statistics import mean
from typing import Any

from espalier.files import write_text

DOCUMENT = Path(__file__).parents[1] / "docs" / "distillation.md"
BEGIN, END = "<!-- measured: begin -->", "<!-- measured: end -->"
HEADINGS = (
    "| | Params [k] | Non-zero [k] | Stored [kB] | MACs [G] | Time | Set5 before training "
    "| Set5 | Set14 | BSD100 |"
)


def write_tables(results: Path) -> None:
    """Put what was measured between the two marks of the document."""
    found = json.loads(results.read_text(encoding="utf-8"))
    text = DOCUMENT.read_text(encoding="utf-8")
    head, _, rest = text.partition(BEGIN)
    _, _, tail = rest.partition(END)
    write_text(DOCUMENT, f"{head}{BEGIN}\n{measured(found)}\n{END}{tail}")


def measured(found: dict[str, Any]) -> str:
    """All that stands between the marks."""
    return f"{conditions(found)}\n\n{table(found['rows'])}\n\n{fronts(found['rows'])}"


def conditions(found: dict[str, Any]) -> str:
    """How the rows were trained."""
    training, place = found["training"], found["environment"]
    return (
        f"{training['steps']} steps for every row that is trained (half as many more for those pruned or cut further), "
        f"{training['batch']} patches of {training['patch']}x{training['patch']} LR pixels, "
        f"{training['precision']}, Adam, learning rate in the row; {place['device']}, one thread, "
        f"torch {place['torch']}. PSNR and SSIM on Y, border 4. MACs for 1280 x 720 output. "
        "Time: processor seconds of one thread, all networks in turn, median share of the teacher's, "
        "one figure for rows that differ in their weights alone."
    )


def table(rows: dict[str, Any]) -> str:
    """One line per row."""
    lines = [HEADINGS, "|---|" + "---:|" * (HEADINGS.count("|") - 2)]
    return "\n".join(lines + [line(name, row, rows["teacher"]) for name, row in rows.items()])


def line(name: str, row: dict[str, Any], teacher: dict[str, Any]) -> str:
    sizes = [size(row, teacher, key, unit, digits) for key, unit, digits in SIZES]
    took = f"{row['time']:.0%}" if "time" in row else ""
    start = f"{row['start']['psnr']:.2f}" if "start" in row else ""
    scores = [f"{q['psnr']:.2f} / {q['ssim']:.4f}" for q in row["quality"].values()]
    told = ", ".join(filter(None, (name, lesson(row["row"]))))
    return f"| {' | '.join([told, *sizes, took, start, *scores])} |"


SIZES = (("params", 1e3, 0), ("nonzero", 1e3, 0), ("bytes", 1e3, 0), ("macs", 1e9, 1))


def size(row: dict[str, Any], teacher: dict[str, Any], key: str, unit: float, digits: int) -> str:
    share = "" if row is teacher else f" ({row[key] / teacher[key]:.0%})"
    return f"{row[key] / unit:,.{digits}f}{share}"


def lesson(row: dict[str, Any]) -> str:
    """Losses and learning rate, as code."""
    return f"`{row['losses']}` at {row['lr']:g}" if row["losses"] else ""


def fronts(rows: dict[str, Any]) -> str:
    """Which rows are the best of their size, and of their time."""
    return "\n".join(
        f"- **Per {what}**, from the {least} on, each better than all before: {'; '.join(front(rows, key))}."
        for key, what, least in (("bytes", "byte", "smallest"), ("time", "millisecond", "fastest"))
    )


def front(rows: dict[str, Any], key: str) -> list[str]:
    """Rows to which no other is superior in both size (or time) and mean PSNR, the smallest first."""
    teacher = rows["teacher"]
    shares = {name: round(row[key] / teacher[key], 2) for name, row in rows.items() if key in row}
    best, found = 0.0, []
    for name in sorted(shares, key=lambda name: (shares[name], -mean_psnr(rows[name]))):
        if mean_psnr(rows[name]) > best:
            best = mean_psnr(rows[name])
            found.append(f"{name} ({shares[name]:.0%}, {best:.2f} dB)")
    return found


def mean_psnr(row: dict[str, Any]) -> float:
    """Over the sets, each counted once."""
    return mean(quality["psnr"] for quality in row["quality"].values())
