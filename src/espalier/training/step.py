"""One step: patches in, weights moved."""

import contextlib
from collections.abc import Sequence
from typing import Protocol

import torch
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel
from torch.nn.utils import clip_grad_norm_

from espalier.losses import Term
from espalier.methods.protocol import Batch
from espalier.training import schedule
from espalier.training.session import Session

DTYPES = {"bf16": torch.bfloat16, "fp16": torch.float16}


class Batches(Protocol):
    """Where patches come from; `espalier.data.Patches` and streams of shards are such."""

    def batch(self, step: int, first: int, count: int) -> tuple[Tensor, Tensor]:
        """LR and HR patches `first` to `first + count` of `step`."""
        ...


def train_step(session: Session, batches: Batches, terms: Sequence[Term], teacher: nn.Module | None) -> dict[str, Tensor]:
    """Run all hooks of one step and count it; gives the weighted losses by name."""
    step, method, optimizer = session.step, session.method, session.optimizer
    torch.manual_seed((session.settings.seed * 1_000_003 + step) * 4093 + session.workers.rank)
    _set_rate(session)
    method.before_step(step)
    session.network.train()
    optimizer.zero_grad()
    losses = _accumulate(session, batches, terms, teacher)
    session.scaler.unscale_(optimizer)
    session.workers.average_(p.grad for p in method.parameters() if p.grad is not None)
    method.after_backward(step)
    if session.settings.clip is not None:
        clip_grad_norm_([p for group in optimizer.param_groups for p in group["params"]], session.settings.clip)
    session.scaler.step(optimizer)
    session.scaler.update()
    plan = method.after_step(step)
    if plan is not None:
        session.cut_(plan)
    session.step += 1
    if session.ema is not None:
        session.ema.update(session.network, session.step)
    return losses


def _accumulate(session: Session, batches: Batches, terms: Sequence[Term], teacher: nn.Module | None) -> dict[str, Tensor]:
    """Forward and backward, once per part of the step; the means over the parts."""
    settings, total = session.settings, {}
    for part in range(settings.accumulate):
        first = (session.workers.rank * settings.accumulate + part) * settings.batch
        lr, hr = (image.to(session.device, non_blocking=True) for image in batches.batch(session.step, first, settings.batch))
        with _gradients_later(session.forward, part + 1 < settings.accumulate):
            losses = _losses(session, lr, hr, terms, teacher)
            session.scaler.scale(losses["total"] / settings.accumulate).backward()
        for name, value in losses.items():
            total[name] = total.get(name, 0) + value.detach() / settings.accumulate
    return total


def _losses(session: Session, lr: Tensor, hr: Tensor, terms: Sequence[Term], teacher: nn.Module | None) -> dict[str, Tensor]:
    if session.settings.channels_last:
        lr = lr.contiguous(memory_format=torch.channels_last)
    with _autocast(session):
        output = session.forward(lr).float()
        with torch.no_grad():
            taught = None if teacher is None else teacher(lr).float()
    losses = {}
    for term in terms:
        goal = taught if term.teacher else hr
        assert goal is not None
        losses[term.name] = term.weight * term.loss(output, goal)
    with _autocast(session):
        losses.update(session.method.losses(Batch(session.step, lr, hr, output, taught)))
    losses["total"] = torch.stack([value.float() for value in losses.values()]).sum()
    return losses


def _set_rate(session: Session) -> None:
    rate = schedule.rate(session.settings, session.step, session.workers.count) * session.plateau.factor
    for group in session.optimizer.param_groups:
        group["lr"] = rate


def _autocast(session: Session) -> contextlib.AbstractContextManager:
    dtype = DTYPES.get(session.settings.precision)
    return contextlib.nullcontext() if dtype is None else torch.autocast(session.device.type, dtype)


def _gradients_later(forward: nn.Module, later: bool) -> contextlib.AbstractContextManager:
    """Workers exchange gradients only in the last part of a step."""
    return forward.no_sync() if later and isinstance(forward, DistributedDataParallel) else contextlib.nullcontext()
