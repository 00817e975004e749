"""Writing reports beside the runs that they tell of."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from espalier.files import write_text
from espalier.report import compare, folder, page, text


def write(path: Path) -> Path:
    """Write `report.md` and `report/index.html` of one run folder; return the page.

    Raises:
        RunError: `path` is no run folder, or a damaged one.
        OutputError: it cannot be written.
    """
    run = folder.read(path)
    write_text(path / folder.MARKDOWN, text.render(run))
    write_text(path / folder.PAGE, page.render(run))
    return path / folder.PAGE


def write_comparison(
    paths: Sequence[Path],
    out: Path,
    *,
    max_loss: float | None = None,
    missing: Mapping[str, str] | None = None,
) -> Path:
    """Write one page that compares several run folders (see `compare.render`); return it.

    Raises:
        RunError: one of `paths` is no run folder, or a damaged one.
        OutputError: the page cannot be written.
    """
    runs = [folder.read(path) for path in paths]
    write_text(out, compare.render(runs, max_loss=max_loss, beside=out.parent, missing=missing))
    return out
