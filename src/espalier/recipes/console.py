"""Where commands write: results to standard output, progress to standard error."""

import contextlib
from collections.abc import Callable, Iterator, Sequence

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from espalier.report.rows import Row, cell, used

WIDE = 160
"""Columns for a file or a pipe, which have no width of their own."""


def output() -> Console:
    """Standard output; tables are not squeezed when it is no terminal."""
    console = Console(highlight=False)
    return console if console.is_terminal else Console(highlight=False, width=WIDE)


@contextlib.contextmanager
def waiting(what: str) -> Iterator[None]:
    """Show on a terminal that something is being done that cannot be counted."""
    console = Console(stderr=True)
    with console.status(what) if console.is_terminal else contextlib.nullcontext():
        yield


@contextlib.contextmanager
def counting(what: str, total: int | None = None) -> Iterator[Callable[[int, int], None]]:
    """A progress bar on a terminal; call what comes back with the number done and the number of all."""
    console = Console(stderr=True)
    if not console.is_terminal:
        yield lambda _done, _all: None
        return
    columns = (TextColumn(what), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console, transient=True) as bar:
        task = bar.add_task(what, total=total)

        def told(done: int, total: int) -> None:
            bar.update(task, completed=done, total=total)

        yield told


@contextlib.contextmanager
def telling() -> Iterator[Callable[[str], None]]:
    """Show on a terminal what is being done, from the first line told; other displays may run until then."""
    console = Console(stderr=True)
    with contextlib.ExitStack() as shown:
        status = console.status("")

        def tell(line: str) -> None:
            if console.is_terminal:
                status.update(escape(line))
                shown.enter_context(status)  # starting twice does nothing

        yield tell


def say(line: str) -> None:
    """One line of progress, whole: a terminal wraps it, a log file needs no wrapping."""
    Console(stderr=True, highlight=False, markup=False).print(line, soft_wrap=True)


def result_table(table: Sequence[Row]) -> Table:
    """The result table of a run for the terminal."""
    columns = used(table)
    shown = Table(box=None, pad_edge=False, header_style="bold")
    shown.add_column("")
    for column in columns:
        shown.add_column(escape(column.heading), justify="right")
    for row in table:
        shown.add_row(row.version, *(cell(row, column) for column in columns))
    return shown
