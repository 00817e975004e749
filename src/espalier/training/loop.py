"""The training loop."""

import contextlib
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import nn

from espalier.data.packed import PackedImages
from espalier.errors import OutputError
from espalier.methods.protocol import Idle, Method
from espalier.training.batchnorm import synchronised
from espalier.training.distributed import current
from espalier.training.errors import Interrupted, TrainingError
from espalier.training.folder import RunFolder, opened
from espalier.training.interrupt import Request, watched
from espalier.training.log import History, Listener, Log, Point
from espalier.training.progress import Show, shown
from espalier.training.session import Session, begin
from espalier.training.settings import TrainSettings
from espalier.training.step import Batches, Task, task, train_step
from espalier.training.validation import Validation
from espalier.training.watch import Watch


@dataclass(frozen=True)
class _Run:
    """All that the loop works with."""

    session: Session
    task: Task
    validate: Validation | None
    folder: RunFolder | None
    log: Log
    show: Show
    request: Request


def fit(
    network: nn.Module,
    images: PackedImages | Batches,
    settings: TrainSettings,
    *,
    teacher: nn.Module | None = None,
    method: Method | None = None,
    validate: Validation | None = None,
    run: Path | None = None,
    resume: bool = False,
    progress: bool = True,
    listeners: Sequence[Listener] = (),
) -> History:
    """Train `network` (RGB 0..1 in and out) in place, on its device; it ends as the EMA where one is kept.

    With `run`, checkpoints and `log.jsonl` are written there, and `resume` goes on from the last checkpoint
    (on the CPU bit for bit). Under torchrun all workers train one network; call in `distributed.joined()`.

    Raises:
        TrainingError: nothing to train on or for, a loss that is not finite, a run folder in use.
        Interrupted: Ctrl-C; the state is saved.
    """
    chosen, workers = task(images, settings, teacher), current()
    with contextlib.ExitStack() as stack:
        stack.enter_context(torch.random.fork_rng())
        stack.enter_context(synchronised(workers, settings.sync_batchnorm))
        folder = stack.enter_context(opened(run, resume=resume, writes=workers.writes)) if run else None
        session = begin(network, settings, method or Idle(), workers)
        log = Log(folder.log if folder else None, listeners) if workers.writes else Log()
        if folder and resume:
            folder.restore(session)
            log.rewind(session.step)
        bar = shown(settings.steps, session.step, enabled=progress and workers.writes)
        show = stack.enter_context(bar)
        request = stack.enter_context(watched())
        session.method.ready(session.context())
        seconds = _steps(_Run(session, chosen, validate, folder, log, show, request))
        session.finish()
    return History(tuple(log.points), session.step, seconds)


def _steps(run: _Run) -> float:
    """Until the end; gives the seconds it took."""
    session, settings, watch = run.session, run.session.settings, Watch()
    began = time.perf_counter()
    before = (session.step, began)
    while session.step < settings.steps and not session.done:
        with _explained(run.folder):
            watch.push(session.step, train_step(session, run.task))
        session.done = session.method.done(session.step - 1)
        last, point = session.done or session.step == settings.steps, None
        scores = _validated(run) if last or session.step % settings.validate_every == 0 else {}
        if scores or last or session.step % settings.log_every == 0:
            with _explained(run.folder):
                losses = watch.flush()
            point = _point(session, losses, scores, before)
            before = (session.step, time.perf_counter())
            run.log.add(point)
        run.show(session.step, point)
        stop = run.request.due(session.workers, session.step)
        if run.folder and (stop or last or session.step % settings.save_every == 0):
            with _explained(run.folder):
                watch.check()
                run.folder.save(session)
        if stop and not last:
            raise Interrupted(session.step, run.folder.path if run.folder else None)
    return time.perf_counter() - began


def _validated(run: _Run) -> Mapping[str, float]:
    """Scores of the first worker, known to all; the best weights are kept."""
    session = run.session
    if run.validate is None:
        return {}
    scores = dict(run.validate(session.kept.eval())) if session.workers.writes else {}
    scores = session.workers.same(scores)
    if "psnr" in scores:
        session.plateau.see(scores["psnr"])
        if scores["psnr"] > session.best:
            session.best = scores["psnr"]
            if run.folder:
                run.folder.save_best(session, scores)
    return scores


def _point(
    session: Session, losses: Mapping[str, float], scores: Mapping[str, float], before: tuple[int, float]
) -> Point:
    speed = (session.step - before[0]) / (time.perf_counter() - before[1])
    lr = session.optimizer.param_groups[0]["lr"]
    return Point(session.step, lr, losses, scores, dict(session.method.facts()), speed)


@contextlib.contextmanager
def _explained(folder: RunFolder | None) -> Iterator[None]:
    """Say in the message of a failure from where training can go on."""
    try:
        yield
    except (TrainingError, OutputError) as error:
        where = folder.last_good() if folder else "nothing is saved, as no run folder was given"
        raise type(error)(f"{error}; {where}") from error
