"""A progress bar: rate, remaining time, losses, last PSNR, and what the method tells."""

import contextlib
from collections.abc import Callable, Iterator, Mapping

from espalier.training.log import Point

Show = Callable[[int, Point | None], None]
"""Steps done, and a new point of the log where there is one."""


@contextlib.contextmanager
def shown(steps: int, start: int, *, enabled: bool) -> Iterator[Show]:
    """A bar on standard error; silent where not enabled."""
    if not enabled:
        yield lambda _step, _point: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (BarColumn(), MofNCompleteColumn(), TimeRemainingColumn(), TextColumn("{task.fields[told]}"))
    with Progress(TextColumn("training"), *columns, console=Console(stderr=True), transient=False) as bar:
        task = bar.add_task("", total=steps, completed=start, told="")
        psnr = ""

        def show(step: int, point: Point | None) -> None:
            nonlocal psnr
            bar.update(task, completed=step)
            if point is None:
                return
            if "psnr" in point.scores:
                psnr = f"{point.scores['psnr']:.3f} dB"
            loss = losses(point.losses)
            facts = " ".join(f"{name} {value:.4g}" for name, value in point.facts.items())
            bar.update(task, told=" ".join(filter(None, (f"{point.rate:.1f}/s", loss, psnr, facts))))

        yield show


def losses(values: Mapping[str, float]) -> str:
    """The sum, and what makes it up where that is more than one term."""
    if "total" not in values:
        return ""
    parts = {name: value for name, value in values.items() if name != "total"}
    listed = " ".join(f"{name} {value:.4g}" for name, value in parts.items())
    return f"loss {values['total']:.5f}" + (f" ({listed})" if len(parts) > 1 else "")
