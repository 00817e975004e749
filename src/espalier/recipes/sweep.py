"""`espalier sweep`: one compression per method and budget, and a page that compares them."""

import time
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from espalier import training
from espalier.errors import EspalierError, PlanError
from espalier.recipes import run
from espalier.recipes.compress import CompressSettings, compress
from espalier.recipes.console import say
from espalier.recipes.grid import Grid, cell_settings, cells, claim
from espalier.report import folder
from espalier.report.pick import Candidate, candidates, verdict
from espalier.report.write import write_comparison

PAGE = "index.html"


class CellSettings(CompressSettings):
    """The settings of every cell; `--budgets` and `--methods` stand for the two that differ."""

    budget: Annotated[str, Parameter(parse=False)] = "macs=0.5"
    method: Annotated[str, Parameter(parse=False)] = "calibrated"
    resume: Annotated[bool, Parameter(parse=False)] = False


class Stopped(training.Interrupted):
    """A person pressed Ctrl-C during a sweep."""

    def __init__(self, grid: Grid) -> None:
        done = f"{len(grid.present)} of {len(grid.cells)} are finished in {grid.out}"
        EspalierError.__init__(self, f"stopped; {done}: the same command goes on")


def command(
    network: str,
    *,
    data: Path,
    budgets: str = "0.75,0.5,0.25",
    methods: str = "calibrated,magnitude",
    max_loss: float = 0.1,
    out: Annotated[Path | None, Parameter(name=["--out", "-o"])] = None,
    settings: Annotated[CellSettings, Parameter(name="*")] = CellSettings(),  # noqa: B008 (frozen)
) -> None:
    """Compress a network by several methods to several budgets, and name the smallest that is good enough.

    The same command again goes on where an earlier one was stopped. A method's own options are given as
    --options.METHOD.NAME.

    Parameters
    ----------
    network
        A checkpoint file, a constructor such as "edsr(scale=2, blocks=16)", or "package.module:factory".
    data
        Folder of high-resolution images, or of HR/LR pairs, to recover and measure on.
    budgets
        What may stay, separated by commas: 0.5 is macs=0.5; params=0.5 and the like are taken too.
    methods
        Methods, separated by commas.
    max_loss
        Name the smallest network that loses at most this many dB of PSNR.
    out
        Folder for one run folder per method and budget, and the page; by default runs/sweep-NETWORK.
    """
    grid = Grid(
        reference=network,
        data=data,
        out=out or Path("runs") / f"sweep-{run.stem(network)}",
        cells=cells(_parts(methods, "--methods"), _parts(budgets, "--budgets")),
        settings=CompressSettings(**settings.model_dump()),
        max_loss=max_loss,
    )
    page = sweep(grid)
    print(f"{verdict(found(grid), max_loss)}\n{page}")


def _parts(text: str, flag: str) -> list[str]:
    named = list(dict.fromkeys(part.strip() for part in text.split(",") if part.strip()))
    if not named:
        raise PlanError(f"{flag} is {text!r}: expected values separated by commas")
    return named


def sweep(grid: Grid) -> Path:
    """Make what is missing of a sweep, cell by cell, and the page that compares them; return the page.

    Raises:
        EspalierError: what concerns all cells; a budget that one method cannot meet is told and left out.
        Stopped: Ctrl-C; what is finished stays, the same call goes on.
    """
    claim(grid)
    todo, failed, began = grid.missing, dict[str, str](), time.monotonic()
    say(f"{len(grid.cells)} networks in {grid.out}, {len(todo)} of them to be made")
    for number, cell in enumerate(todo):
        say(f"\n{cell.name}, {number + 1} of {len(todo)}{_left(began, number, len(todo))}")
        try:
            compress(grid.reference, grid.data, grid.path(cell), cell_settings(grid, cell))
        except PlanError as error:
            failed[cell.name] = str(error)
            say(f"left out: {error}")
        except (KeyboardInterrupt, training.Interrupted) as stop:
            raise Stopped(grid) from stop
        else:
            _page(grid, failed)
            _tell(grid)
    return _page(grid, failed)


def found(grid: Grid) -> list[Candidate]:
    """What is finished and measured."""
    return candidates([folder.read(path) for path in grid.present])


def _tell(grid: Grid) -> None:
    """The quality so far, the largest network first."""
    for candidate in sorted(found(grid), key=lambda c: c.size, reverse=True):
        say(f"  {candidate.name} {candidate.told()}")


def _page(grid: Grid, failed: Mapping[str, str]) -> Path:
    if not grid.present:
        raise PlanError(
            f"none of the {len(grid.cells)} networks could be made; {next(iter(failed.values()))}"
        )
    return write_comparison(grid.present, grid.out / PAGE, max_loss=grid.max_loss, missing=failed)


def _left(began: float, done: int, count: int) -> str:
    if not done:
        return ""
    minutes = (time.monotonic() - began) / done * (count - done) / 60
    return f", about {minutes:.0f} min left" if minutes >= 1 else ", less than a minute left"
