"""Workers started by torchrun: who this one is, and means over all of them."""

import contextlib
import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import TypeVar

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

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

    def wrap(self, network: nn.Module) -> nn.Module:
        """The network with gradients averaged over all workers."""
        if self.count == 1:
            return network
        ids = [torch.cuda.current_device()] if _device().type == "cuda" else None
        # Some networks hold parameters for other scales, and a method may silence whole layers.
        return DistributedDataParallel(network, device_ids=ids, find_unused_parameters=True)


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
    if torch.cuda.is_available():
        torch.cuda.set_device(int(os.environ.get("LOCAL_RANK", "0")))
    dist.init_process_group(backend="nccl" if torch.cuda.is_available() else "gloo")
    try:
        yield current()
    finally:
        dist.destroy_process_group()


def _device() -> torch.device:
    cuda = dist.get_backend() == "nccl"
    return torch.device("cuda", torch.cuda.current_device()) if cuda else torch.device("cpu")
