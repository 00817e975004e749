"""Batch normalisation over the batches of all workers, for every network that runs in a step, a method's own too.

torch's SyncBatchNorm replaces modules and runs on GPUs only; here the function beneath all of them is replaced
while a step runs, so that nothing has to be put in and taken out again.
"""

import contextlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor
from torch.nn import functional
from torch.overrides import TorchFunctionMode

from espalier.training.distributed import Workers


def synchronised(workers: Workers, wanted: bool) -> contextlib.AbstractContextManager[Any]:
    """Where `wanted`, batch normalisation over all of several workers."""
    return Synchronised() if wanted and workers.count > 1 else contextlib.nullcontext()


class Synchronised(TorchFunctionMode):
    """While it is entered, statistics of `batch_norm` in training are those of all workers' batches."""

    def __torch_function__(
        self, func: Callable, types: Any, args: Sequence[Any] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        del types
        return (batch_norm if func is functional.batch_norm else func)(*args, **(kwargs or {}))


def batch_norm(
    input: Tensor,
    running_mean: Tensor | None,
    running_var: Tensor | None,
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    training: bool = False,
    momentum: float = 0.1,
    eps: float = 1e-5,
) -> Tensor:
    """`torch.nn.functional.batch_norm` (N, C, ...) with mean and variance over all workers."""
    if not training:
        return functional.batch_norm(input, running_mean, running_var, weight, bias, False, momentum, eps)
    x = input if input.dtype == torch.float64 else input.float()
    dims, shape = [0, *range(2, x.ndim)], (1, -1, *(1 for _ in x.shape[2:]))
    here = x.new_tensor([x.numel() / x.shape[1]])
    *sums, count = _summed(torch.cat([x.sum(dims), here])).split([x.shape[1], 1])
    mean = sums[0] / count
    centred = x - mean.view(shape)
    # From deviations and not from sums of squares, which lose digits where the mean is large.
    variance = _summed(centred.square().sum(dims)) / count
    _remember(running_mean, mean, momentum)
    _remember(running_var, variance * (count / (count - 1).clamp(min=1)), momentum)
    y = centred * (variance + eps).rsqrt().view(shape)
    y = y if weight is None else y * weight.view(shape)
    return (y if bias is None else y + bias.view(shape)).to(input.dtype)


@torch.no_grad()
def _remember(running: Tensor | None, value: Tensor, momentum: float) -> None:
    if running is not None:
        running.lerp_(value.to(running.dtype), momentum)


class _Summed(torch.autograd.Function):
    """The sum over workers. Each worker's loss depends on every worker's share: gradients are summed as well."""

    @staticmethod
    def forward(ctx: Any, value: Tensor) -> Tensor:
        del ctx
        value = value.clone()
        dist.all_reduce(value)
        return value

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> Tensor:
        del ctx
        return _summed(grads[0])


def _summed(value: Tensor) -> Tensor:
    return _Summed.apply(value)  # pyright: ignore[reportReturnType]
