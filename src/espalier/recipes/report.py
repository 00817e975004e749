"""`espalier report`: write the report of a run again, or compare runs."""

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from espalier.errors import EspalierError
from espalier.report.write import write, write_comparison


def command(
    *runs: Path,
    out: Annotated[Path | None, Parameter(name=["--out", "-o"])] = None,
    max_loss: float | None = None,
) -> None:
    """Write the report of a run again, or one page that compares several runs.

    Parameters
    ----------
    runs
        Run folders, as `espalier compress` writes them.
    out
        The page that compares several runs; beside the first run by default.
    max_loss
        Name on that page the smallest network that loses at most this many dB.
    """
    if not runs:
        raise EspalierError("espalier report needs a run folder: espalier report RUN...")
    for run in runs:
        print(write(run))
    if len(runs) > 1:
        print(write_comparison(runs, out or runs[0].parent / "comparison.html", max_loss=max_loss))
