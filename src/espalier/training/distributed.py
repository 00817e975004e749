"""Workers started by torchrun: who this one is, and means over all of them.

Gradients are averaged in one exchange after the backward pass, not by torch's DistributedDataParallel: that
wrapper remembers the parameters' shapes, which surgery changes, and must be told of unused parameters.
SR networks are small; exchanging all gradients at once costs little.
"""

import contextlib
import importlib
import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TypeVar

import torch
import torch.distributed as dist
from torch import Tensor, nn

from espalier.training.meeting import agent_store, fresh

Shared = TypeVar("Shared")


@dataclass(frozen=True)
class Workers:
    """This worker among all."""

    rank: int = 0
    count: int = 1

    @property
    def writes(self) -> bool:
        """Whether this worker writes files: only the first does."""
        return self.rank == 0

    @torch.no_grad()
    def average_(self, tensors: Iterable[Tensor]) -> None:
        """Replace tensors by their mean over all workers."""
        if self.count == 1:
            return
        for tensor in tensors:
            dist.all_reduce(tensor)
            tensor.div_(self.count)

    def agree(self, flag: bool) -> bool:
        """Whether any worker says yes."""
        if self.count == 1:
            return flag
        vote = torch.tensor([float(flag)], device=_device())
        dist.all_reduce(vote, dist.ReduceOp.MAX)
        return bool(vote.item())

    def same(self, value: Shared) -> Shared:
        """The first worker's value, for all."""
        if self.count == 1:
            return value
        values = [value]
        dist.broadcast_object_list(values, device=_device())
        return values[0]

    def wait(self) -> None:
        """Until all workers are here."""
        if self.count > 1:
            dist.barrier()

    @torch.no_grad()
    def share_(self, tensors: Iterable[Tensor]) -> None:
        """Replace tensors by those of the first worker."""
        if self.count == 1:
            return
        for tensor in tensors:
            dist.broadcast(tensor, 0)

    @torch.no_grad()
    def average_gradients_(self, parameters: Sequence[nn.Parameter]) -> None:
        """Replace gradients by their mean over all workers; one that no worker has stays None."""
        if self.count == 1:
            return
        there = torch.tensor([p.grad is not None for p in parameters], dtype=torch.float32)
        parts = [(torch.zeros_like(p) if p.grad is None else p.grad).float().flatten() for p in parameters]
        together = torch.cat([*parts, there.to(parts[0].device)])
        dist.all_reduce(together)
        means = together.div_(self.count).split([part.numel() for part in parts] + [len(parts)])
        for parameter, mean, anywhere in zip(parameters, means, means[-1].tolist()):
            if anywhere:
                parameter.grad = torch.zeros_like(parameter) if parameter.grad is None else parameter.grad
                parameter.grad.copy_(mean.view(parameter.shape))


def current() -> Workers:
    """The worker that this process is; alone outside of `joined`."""
    if dist.is_available() and dist.is_initialized():
        return Workers(dist.get_rank(), dist.get_world_size())
    return Workers()


@contextlib.contextmanager
def joined() -> Iterator[Workers]:
    """Join the workers that torchrun started (gloo on CPUs, NCCL on GPUs); without torchrun, alone."""
    if int(os.environ.get("WORLD_SIZE", "1")) < 2 or dist.is_initialized():
        yield current()
        return
    # Default arguments in this module keep the group that is there when it is imported: imported later, its
    # threads would outlive the parting below and abort now and then when Python ends.
    importlib.import_module("torch.distributed.nn.functional")
    if torch.cuda.is_available():
        torch.cuda.set_device(int(os.environ.get("LOCAL_RANK", "0")))
    backend, store = "nccl" if torch.cuda.is_available() else "gloo", agent_store()
    if store is None:
        dist.init_process_group(backend)
    else:
        rank, count = int(os.environ["RANK"]), int(os.environ["WORLD_SIZE"])
        store = fresh(store, rank, count)
        dist.init_process_group(backend, store=store, rank=rank, world_size=count)
    try:
        yield current()
        dist.barrier()  # the first worker holds the meeting point: it must not leave before the others
    finally:
        dist.destroy_process_group()


def _device() -> torch.device:
    cuda = dist.get_backend() == "nccl"
    return torch.device("cuda", torch.cuda.current_device()) if cuda else torch.device("cpu")
