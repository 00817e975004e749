"""A finished run as scripts and notebooks see it."""

from dataclasses import dataclass
from pathlib import Path

from espalier.networks.load import load
from espalier.networks.network import Network
from espalier.notebook import table
from espalier.plan import PrunePlan
from espalier.report import folder
from espalier.report.rows import Row, cell, rows, used
from espalier.report.summary import sentence, title


@dataclass(frozen=True)
class Result:
    """What a compression made and measured, read from its run folder."""

    run: folder.Run

    @property
    def path(self) -> Path:
        return self.run.path

    @property
    def page(self) -> Path:
        """The report."""
        return self.run.path / folder.PAGE

    @property
    def plan(self) -> PrunePlan | None:
        return self.run.plan

    @property
    def sentence(self) -> str:
        """What was achieved, in one sentence."""
        return sentence(self.run)

    @property
    def rows(self) -> tuple[Row, ...]:
        """Quality and cost of bicubic, dense, pruned and recovered."""
        return rows(self.run)

    def network(self) -> Network:
        """The network that was made, RGB in 0..1 in and out.

        Raises:
            NetworkError: the run has not come so far.
        """
        return load(self.run.path / folder.NETWORK)

    def _repr_html_(self) -> str:
        columns = used(self.rows)
        lines = [(row.version, *(cell(row, column) for column in columns)) for row in self.rows]
        headings = ("", *(column.heading for column in columns))
        return table(title(self.run), headings, lines, note=f"{self.sentence} {self.page}")


def read(path: str | Path) -> Result:
    """The result in a run folder.

    Raises:
        RunError: `path` is no run folder, or a damaged one.
    """
    return Result(folder.read(path))
