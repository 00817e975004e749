"""The cells of a sweep: what each is asked for, which are finished, and whose folder it is."""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from espalier.allocation import Budget
from espalier.errors import OutputError, PlanError
from espalier.files import write_text
from espalier.methods.job import method
from espalier.recipes import run
from espalier.recipes.compress import CompressSettings
from espalier.report import folder

SETTINGS = "sweep.yaml"


@dataclass(frozen=True)
class Cell:
    """One compression of a sweep."""

    method: str
    budget: str

    @property
    def name(self) -> str:
        return f"{self.method}-{self.budget.replace('=', '')}"


@dataclass(frozen=True)
class Grid:
    """All that a sweep is asked for."""

    reference: str
    data: Path
    out: Path
    cells: tuple[Cell, ...]
    settings: CompressSettings = field(default_factory=CompressSettings)
    """Of every cell; `options` holds those of each method under its name."""
    max_loss: float = 0.1
    """In dB of PSNR on the test images."""

    def path(self, cell: Cell) -> Path:
        return self.out / cell.name

    @property
    def present(self) -> list[Path]:
        """Run folders that are finished: the report is what a run writes last."""
        return [path for cell in self.cells if (path := self.path(cell)).joinpath(folder.PAGE).is_file()]

    @property
    def missing(self) -> list[Cell]:
        """What is still to be made."""
        done = () if self.settings.overwrite else self.present
        return [cell for cell in self.cells if self.path(cell) not in done]


def cells(methods: Sequence[str], budgets: Sequence[str]) -> tuple[Cell, ...]:
    """Every method with every budget, budgets in the order given; 0.5 stands for macs=0.5.

    Raises:
        PlanError: there is no such method, or a budget cannot be read.
    """
    limits = [limit if "=" in limit else f"macs={limit}" for limit in budgets]
    for name in methods:
        method(name)
    for limit in limits:
        Budget.parse(limit)
    return tuple(Cell(name, limit) for limit, name in itertools.product(limits, methods))


def cell_settings(grid: Grid, cell: Cell) -> CompressSettings:
    """A run that was interrupted goes on; one that is to be overwritten begins anew."""
    begun = (grid.path(cell) / folder.CONFIG).is_file()
    return grid.settings.model_copy(
        update={
            "budget": cell.budget,
            "method": cell.method,
            "options": grid.settings.options.get(cell.method, {}),
            "resume": begun and not grid.settings.overwrite,
            "overwrite": begun,
        }
    )


def claim(grid: Grid) -> None:
    """Write the settings of the sweep into its folder; methods and budgets may join later, all else stays.

    Raises:
        PlanError: options that belong to no method of the sweep.
        OutputError: the folder holds something else, or runs with other settings.
    """
    methods = list(dict.fromkeys(cell.method for cell in grid.cells))
    if strange := [name for name in grid.settings.options if name not in methods]:
        raise PlanError(
            f"options for {strange[0]!r}, which is no method of this sweep ({', '.join(methods)}); "
            f"write --options.{methods[0]}.{strange[0]}"
        )
    if grid.out.is_dir() and any(grid.out.iterdir()) and not (grid.out / SETTINGS).is_file():
        raise OutputError(f"{grid.out} is not empty and holds no sweep; choose another place with --out")
    if not grid.settings.overwrite:
        for cell in grid.cells:
            _check_begun(grid, cell)
    write_text(grid.out / SETTINGS, run.dump(_told(grid)))


def _check_begun(grid: Grid, cell: Cell) -> None:
    """A run that was begun must be what is asked for now; a setting that did not exist then is as by default."""
    path = grid.path(cell) / folder.CONFIG
    if not path.is_file():
        return
    begun = _dumped(CompressSettings()) | (yaml.safe_load(path.read_text(encoding="utf-8")) or {})
    wanted = {**_shared(grid), **_dumped(cell_settings(grid, cell))}
    for key in dict.fromkeys((*begun, *wanted)):
        if begun.get(key) != wanted.get(key):
            raise OutputError(
                f"{path.parent} was made with {key}: {begun.get(key)}, and now {key} is {wanted.get(key)}; "
                "choose another place with --out, or give --overwrite to begin anew"
            )


def _shared(grid: Grid) -> dict[str, Any]:
    return {"network": grid.reference, "data": str(grid.data)}


def _dumped(settings: CompressSettings, *more: str) -> dict[str, Any]:
    left_out = {"overwrite", "resume", *more}
    return settings.model_dump(mode="json", exclude=left_out, exclude_none=True)


def _told(grid: Grid) -> dict[str, Any]:
    """What `espalier sweep --config` needs to do the same again."""
    varied = {
        "budgets": ",".join(dict.fromkeys(cell.budget for cell in grid.cells)),
        "methods": ",".join(dict.fromkeys(cell.method for cell in grid.cells)),
        "max_loss": grid.max_loss,
    }
    return {**_shared(grid), **varied, **_dumped(grid.settings, "budget", "method")}
