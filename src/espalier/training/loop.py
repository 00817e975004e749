"""The training loop."""

import contextlib
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

import torch
from torch import nn

from espalier.data.packed import PackedImages
from espalier.data.patches import Patches
from espalier.errors import EspalierError
from espalier.losses import Term, terms
from espalier.methods.protocol import Context, Idle, Method
from espalier.training import checkpoint, distributed
from espalier.training.errors import Interrupted, TrainingError
from espalier.training.folder import RunFolder, opened
from espalier.training.interrupt import Request, watched
from espalier.training.log import History, Log, Point
from espalier.training.progress import Show, shown
from espalier.training.session import Session, begin
from espalier.training.settings import TrainSettings
from espalier.training.step import Batches, train_step
from espalier.training.validation import Validation
from espalier.training.watch import Watch


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
) -> History:
    """Train `network` (RGB 0..1 in and out) in place, on its device; afterwards it holds the EMA where one is kept.

    With `run`, checkpoints and `log.jsonl` are written there, and `resume` goes on from the last checkpoint, on the
    CPU bit for bit. Under torchrun all workers train the one network (call inside `distributed.joined()`).

    Raises:
        TrainingError: nothing to train on or for, a loss that is not finite, a run folder in use.
        Interrupted: Ctrl-C; the state is saved.
    """
    batches = Patches(images, settings.patch, settings.seed, settings.augment) if isinstance(images, PackedImages) else images
    listed = _terms(settings, teacher)
    workers = distributed.current()
    if teacher is not None:
        teacher.eval()
    with contextlib.ExitStack() as stack:
        stack.enter_context(torch.random.fork_rng())
        folder = stack.enter_context(opened(run, resume=resume, writes=workers.writes)) if run else None
        session = begin(network, settings, method or Idle(), workers)
        log = Log(folder.log if folder and workers.writes else None)
        if folder and resume:
            _resume(session, folder, log)
        show = stack.enter_context(shown(settings.steps, session.step, enabled=progress and workers.writes))
        request = stack.enter_context(watched())
        session.method.ready(_context(session))
        seconds = _run(session, batches, listed, teacher, validate, folder, log, show, request)
        _finish(session)
    return History(tuple(log.points), session.step, seconds)


def _run(
    session: Session,
    batches: Batches,
    listed: Sequence[Term],
    teacher: nn.Module | None,
    validate: Validation | None,
    folder: RunFolder | None,
    log: Log,
    show: Show,
    request: Request,
) -> float:
    """Steps until the end; gives the seconds they took."""
    settings, watch, began = session.settings, Watch(), time.perf_counter()
    since = (session.step, began)
    while session.step < settings.steps and not session.done:
        with _explained(folder):
            watch.push(session.step, train_step(session, batches, listed, teacher))
        session.done = session.method.done(session.step - 1)
        last = session.done or session.step == settings.steps
        scores, point = {}, None
        if validate is not None and (last or session.step % settings.validate_every == 0):
            scores = _validated(session, validate, folder)
        if scores or last or session.step % settings.log_every == 0:
            with _explained(folder):
                losses = watch.flush()
            rate = (session.step - since[0]) / (time.perf_counter() - since[1])
            since = (session.step, time.perf_counter())
            point = Point(session.step, _rate(session), losses, scores, dict(session.method.facts()), rate)
            log.add(point)
        show(session.step, point)
        stop = _asked(session, request)
        if folder and (stop or last or session.step % settings.save_every == 0):
            with _explained(folder):
                watch.check()
                _save(session, folder)
        if stop and not last:
            raise Interrupted(_how_to_go_on(session, folder))
    return time.perf_counter() - began


def _terms(settings: TrainSettings, teacher: nn.Module | None) -> tuple[Term, ...]:
    listed = terms(settings.losses, settings.loss_options)
    if teacher is None and any(term.teacher for term in listed):
        raise TrainingError(f"the losses {dict(settings.losses)} compare with a teacher, and there is none")
    return listed


def _context(session: Session) -> Context:
    ema, workers = session.ema, session.workers
    return Context(
        network=session.network,
        steps=session.settings.steps,
        seed=session.settings.seed,
        rank=workers.rank,
        workers=workers.count,
        average=workers.average_,
        ema=None if ema is None else ema.network,
    )


def _resume(session: Session, folder: RunFolder, log: Log) -> None:
    state = checkpoint.newest(folder.checkpoints)
    if state is not None:
        session.load_state_dict(state)
    log.rewind(session.step)


def _save(session: Session, folder: RunFolder) -> None:
    """Only what is finite is saved, so that the last checkpoint is always a good one."""
    if not all(torch.isfinite(p).all() for p in session.network.parameters()):
        raise TrainingError(f"a weight is no longer a number after step {session.step - 1}")
    if session.workers.writes:
        checkpoint.save(folder.checkpoints, session.step, session.state_dict())


def _validated(session: Session, validate: Validation, folder: RunFolder | None) -> Mapping[str, float]:
    scores = {}
    if session.workers.writes:
        session.kept.eval()
        scores = dict(validate(session.kept))
    scores = session.workers.same(scores)
    if "psnr" in scores:
        session.plateau.see(scores["psnr"])
        if scores["psnr"] > session.best:
            session.best = scores["psnr"]
            if folder and session.workers.writes:
                plans = [plan.to_json() for plan in session.plans]
                best = {"step": session.step, "scores": scores, "plans": plans, "network": session.kept.state_dict()}
                checkpoint.write(folder.best, best)
    return scores


def _rate(session: Session) -> float:
    return session.optimizer.param_groups[0]["lr"]


def _asked(session: Session, request: Request) -> bool:
    """Whether to stop; several workers must agree, which they ask each other only now and then."""
    if session.workers.count == 1:
        return request.asked
    return session.step % 10 == 0 and session.workers.agree(request.asked)


def _finish(session: Session) -> None:
    if session.ema is not None:
        session.ema.copy_to(session.network)
    session.network.to(memory_format=torch.contiguous_format)  # pyright: ignore[reportCallIssue]
    session.method.finish()
    session.network.eval()


@contextlib.contextmanager
def _explained(folder: RunFolder | None):
    """Say in the message of a failure from where training can go on."""
    try:
        yield
    except TrainingError as error:
        good = checkpoint.found(folder.checkpoints) if folder else []
        where = f"the last good checkpoint is {good[-1]}" if good else "no checkpoint was written yet"
        raise TrainingError(f"{error}; {where}. Try a smaller learning rate, or clip the gradients") from error


def _how_to_go_on(session: Session, folder: RunFolder | None) -> str:
    if folder is None:
        return f"stopped after step {session.step}; nothing is saved, as no run folder was given"
    return f"stopped after step {session.step}; saved in {folder.path}: go on with the same command and --resume"
