"""Peak memory of a forward pass."""

from dataclasses import dataclass
from typing import Any

import torch

from espalier.costs.diary import written
from espalier.costs.running import at_rest, default_lr_size, example, without_weights
from espalier.networks.network import Network


@dataclass(frozen=True)
class Memory:
    """Bytes that one forward pass of one image of `input_size` (height, width) needs at its worst moment."""

    activations: int
    """Tensors alive at once, besides weights and the input image."""
    weights: int
    input_size: tuple[int, int]
    device: str

    @property
    def total(self) -> int:
        return self.activations + self.weights

    def to_dict(self) -> dict[str, Any]:
        """`memory`, its parts and how it was found, for JSON."""
        return {
            "memory": self.total,
            "memory_activations": self.activations,
            "memory_input_size": list(self.input_size),
        }


def peak(
    network: Network, lr_size: tuple[int, int] | None = None, device: torch.device | str | None = None
) -> Memory:
    """The peak memory of `network` at `lr_size` (by default, of a 1280 x 720 output).

    On CUDA the allocator is asked during a real run. Elsewhere the tensors alive are summed over a run
    without values: exact and instant, but without the scratch space that operators use inside.
    """
    size = lr_size or default_lr_size(network.scale)
    place = torch.device(device) if device is not None else next(network.parameters()).device
    tensors = [*network.parameters(), *network.buffers()]
    weights = sum(tensor.numel() * tensor.element_size() for tensor in tensors)
    activations = _on_cuda(network, size, place) if place.type == "cuda" else _by_tensors(network, size)
    return Memory(activations, weights, size, str(place))


def _on_cuda(network: Network, size: tuple[int, int], device: torch.device) -> int:
    network.to(device)
    image = example(size, device).to(next(network.parameters()).dtype)
    with at_rest(network):
        network(image)  # the first run allocates workspaces that stay
        torch.cuda.synchronize(device)
        torch.cuda.reset_peak_memory_stats(device)
        before = torch.cuda.memory_allocated(device)
        network(image)
        torch.cuda.synchronize(device)
        return torch.cuda.max_memory_allocated(device) - before


def _by_tensors(network: Network, size: tuple[int, int]) -> int:
    try:
        return written(without_weights(network), example(size, "meta")).peak
    except (RuntimeError, NotImplementedError, TypeError, ValueError):
        return written(network, example(size, next(network.parameters()).device)).peak
