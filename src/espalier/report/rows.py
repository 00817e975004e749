"""The result table: a row per version of the network, the columns of the NTIRE efficient-SR reports."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from espalier.report.folder import VERSIONS, Run


@dataclass(frozen=True)
class Row:
    """Quality and cost of one version; None where it was not measured or does not apply."""

    version: str
    psnr: float | None = None
    ssim: float | None = None
    ms: float | None = None
    ms_spread: float | None = None
    params: float | None = None
    macs: float | None = None
    activations: float | None = None
    memory: float | None = None
    """Bytes."""
    convs: float | None = None
    nonzero: float | None = None
    stored: float | None = None
    """Bytes."""
    sparsity: float | None = None


@dataclass(frozen=True)
class Column:
    """One column: its heading with the unit, and how a row's value is written."""

    key: str
    heading: str
    write: Callable[[float], str]
    meaning: str


def _scaled(unit: float, digits: int) -> Callable[[float], str]:
    return lambda value: f"{value / unit:,.{digits}f}"


def _significant(unit: float) -> Callable[[float], str]:
    """Four significant digits at most, so that 5.3 M and 0.0128 M both read well."""

    def write(value: float) -> str:
        size = abs(value / unit)
        digits = 4 if size < 0.1 else 3 if size < 10 else 2 if size < 100 else 1
        return f"{value / unit:,.{digits}f}"

    return write


COLUMNS = (
    Column("psnr", "PSNR [dB]", _scaled(1, 2), "mean over the test images"),
    Column("ssim", "SSIM", _scaled(1, 4), "mean over the test images"),
    Column("ms", "Time [ms]", _significant(1), "median of repeated runs"),
    Column("params", "Params [M]", _significant(1e6), "stored numbers that are learned"),
    Column("macs", "MACs [G]", _significant(1e9), "multiply-accumulates for one image"),
    Column("activations", "Acts [M]", _significant(1e6), "numbers that convolutions put out for one image"),
    Column("memory", "Mem [MiB]", _significant(2**20), "peak memory of one run"),
    Column("convs", "#Conv", _scaled(1, 0), "convolution layers"),
    Column("nonzero", "Non-zero [M]", _significant(1e6), "parameters that are not pruned to zero"),
    Column("stored", "File [KiB]", _significant(2**10), "tensors in the file, without zeros"),
    Column(
        "sparsity",
        "Sparsity [%]",
        _scaled(0.01, 2),
        "weights of convolutions and linear layers that are zero",
    ),
)


def rows(run: Run) -> tuple[Row, ...]:
    """The rows of a run: bicubic, dense, pruned, recovered, as far as they were measured."""
    quality = run.metrics.get("rows", {})
    cost = run.cost.get("rows", {})
    return tuple(
        _row(version, quality.get(version, {}).get("mean", {}), _cost_of(version, cost))
        for version in VERSIONS
        if version in quality or version in cost
    )


def _cost_of(version: str, cost: dict[str, dict[str, float]]) -> dict[str, float]:
    """Recovery changes weights, not sizes, so its cost is that of the pruned network."""
    return cost.get(version, cost.get("pruned", {}) if version == "recovered" else {})


def _row(version: str, mean: dict[str, float], cost: dict[str, float]) -> Row:
    known = {column.key for column in COLUMNS} | {"ms_spread"}
    values = {key: value for key, value in {**mean, **cost}.items() if key in known}
    return Row(version, **values)


def result(table: Iterable[Row]) -> Row | None:
    """The row of what the run delivers: the last one that is neither bicubic nor dense."""
    made = [row for row in table if row.version in ("pruned", "recovered")]
    return made[-1] if made else None


def find(table: Iterable[Row], version: str) -> Row | None:
    return next((row for row in table if row.version == version), None)


def used(table: Sequence[Row]) -> tuple[Column, ...]:
    """The columns that at least one row fills."""
    return tuple(c for c in COLUMNS if any(getattr(row, c.key) is not None for row in table))


def cell(row: Row, column: Column) -> str:
    """The value of `column`, written; empty where there is none."""
    value = getattr(row, column.key)
    return "" if value is None else column.write(value)


def change(before: float, after: float, digits: int) -> str:
    """The difference of the numbers as they are shown, with its sign; a true minus for negative ones."""
    return f"{round(after, digits) - round(before, digits):+.{digits}f}".replace("-", "−")


def markdown(table: Sequence[Row]) -> str:
    """The table in Markdown, numbers to the right."""
    columns = used(table)
    lines = ["| | " + " | ".join(c.heading for c in columns) + " |", "|---|" + "---:|" * len(columns)]
    lines += [f"| {row.version} | " + " | ".join(cell(row, c) for c in columns) + " |" for row in table]
    return "\n".join(lines)
