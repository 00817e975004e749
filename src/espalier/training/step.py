"""One step: patches in, weights moved."""

import contextlib
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor, nn
from torch.nn.utils import clip_grad_norm_

from espalier.data.packed import PackedImages
from espalier.data.patches import Patches
from espalier.losses import Term, terms
from espalier.methods.protocol import Batch
from espalier.training.errors import TrainingError
from espalier.training.schedule import rate
from espalier.training.session import Session
from espalier.training.settings import TrainSettings

DTYPES = {"bf16": torch.bfloat16, "fp16": torch.float16}


class Batches(Protocol):
    """Where patches come from; `espalier.data.Patches` and streams of shards are such."""

    def batch(self, step: int, first: int, count: int) -> tuple[Tensor, Tensor]:
        """LR and HR patches `first` to `first + count` of `step`, float in 0..1."""
        ...


@dataclass(frozen=True)
class Task:
    """What a network is trained on and for."""

    batches: Batches
    terms: tuple[Term, ...]
    teacher: nn.Module | None = None


def task(images: PackedImages | Batches, settings: TrainSettings, teacher: nn.Module | None) -> Task:
    """Patches, losses and teacher put together.

    Raises:
        TrainingError: a loss asks for a teacher, and there is none.
    """
    if isinstance(images, PackedImages):
        images = Patches(images, settings.patch, settings.seed, settings.augment)
    listed = terms(settings.losses, settings.loss_options)
    if teacher is None and any(term.teacher for term in listed):
        raise TrainingError(f"the losses {dict(settings.losses)} compare with a teacher, and there is none")
    return Task(images, listed, None if teacher is None else teacher.eval())


def train_step(session: Session, task: Task) -> dict[str, Tensor]:
    """Run all hooks of one step and count it; gives the weighted losses by name, and their sum as "total"."""
    step, method, optimizer, settings = session.step, session.method, session.optimizer, session.settings
    _seed((settings.seed * 1_000_003 + step) * 4093 + session.workers.rank, session.device)
    for group in optimizer.param_groups:
        group["lr"] = rate(settings, step, session.workers.count) * session.plateau.factor
    method.before_step(step)
    if not session.network.training:  # a validation has just been
        session.network.train()
    optimizer.zero_grad()
    losses = _accumulate(session, task)
    # Before unscaling, so that all workers see one overflow alike.
    session.workers.average_gradients_(session.trained)
    session.scaler.unscale_(optimizer)
    session.workers.share_(session.network.buffers())
    method.after_backward(step)
    if settings.clip is not None:
        clip_grad_norm_(session.trained, settings.clip)
    session.scaler.step(optimizer)
    session.scaler.update()
    plan = method.after_step(step)
    if plan is not None:
        session.cut_(plan)
    session.step += 1
    if session.ema is not None:
        session.ema.update(session.network, session.step)
    return losses


def _seed(number: int, device: torch.device) -> None:
    """Every random choice of a step follows from its number; `torch.manual_seed` itself takes a millisecond."""
    torch.default_generator.manual_seed(number)
    if device.type == "cuda":
        torch.cuda.manual_seed(number)


def _accumulate(session: Session, task: Task) -> dict[str, Tensor]:
    """Forward and backward, once per part of the step; the means over the parts."""
    parts, size, total = session.settings.accumulate, session.settings.batch, {}
    for part in range(parts):
        first = (session.workers.rank * parts + part) * size
        lr, hr = (images.to(session.device) for images in task.batches.batch(session.step, first, size))
        losses = _losses(session, task, lr, hr)
        session.scaler.scale(losses["total"] / parts).backward()
        for name, value in losses.items():
            total[name] = total.get(name, 0) + value.detach() / parts
    return total


def _losses(session: Session, task: Task, lr: Tensor, hr: Tensor) -> dict[str, Tensor]:
    if session.settings.channels_last:
        lr = lr.contiguous(memory_format=torch.channels_last)
    with _autocast(session):
        output = session.forward(lr).float()
        with torch.no_grad():
            taught = None if task.teacher is None else task.teacher(lr).float()
    losses = {}
    for term in task.terms:
        goal = taught if term.teacher else hr
        assert goal is not None
        losses[term.name] = term.weight * term.loss(output, goal)
    with _autocast(session):
        losses.update(session.method.losses(Batch(session.step, lr, hr, output, taught)))
    losses["total"] = torch.stack([value.float() for value in losses.values()]).sum()
    return losses


def _autocast(session: Session) -> contextlib.AbstractContextManager:
    dtype = DTYPES.get(session.settings.precision)
    return contextlib.nullcontext() if dtype is None else torch.autocast(session.device.type, dtype)
