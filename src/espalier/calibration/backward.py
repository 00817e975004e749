"""Gradients of networks whose code writes into tensors that the backward pass needs."""

import contextlib
from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.autograd.graph import allow_mutation_on_saved_tensors

from espalier.networks.network import first

Recording = Callable[[], contextlib.AbstractContextManager]


def recording(network: nn.Module, x: Tensor) -> Recording:
    """What to run the network and its backward pass in: nothing, where they run on `x` as they are.

    Partial convolutions often write their result into a slice of their input outside of training (PLKSR), which
    autograd refuses; keeping copies for it costs an eighth of the time.
    """
    try:
        with torch.enable_grad():
            leaf = x.clone().requires_grad_()
            image = first(network(leaf.clone()))  # some networks write into their input
            torch.autograd.grad(image.sum(), leaf, allow_unused=True)
    except RuntimeError:  # another reason comes up again where it matters
        return allow_mutation_on_saved_tensors
    return contextlib.nullcontext
