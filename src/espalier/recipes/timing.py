"""The cost model that a budget needs: for latency, layers and whole networks timed in the wanted runtime."""

import tempfile
import warnings
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import cache, partial
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from espalier.allocation import Budget, allocate
from espalier.channels import Channels
from espalier.channels.cost import CostModel
from espalier.costs.latency import measure
from espalier.costs.model import lr_size_of, model
from espalier.costs.running import example
from espalier.costs.table import RUNS, Corrected, fastest, onnx_timer, torch_timer
from espalier.errors import PlanError
from espalier.methods.job import cut
from espalier.networks.network import Network
from espalier.plan import PrunePlan
from espalier.recipes.console import say

RUNTIMES = ("torch", "onnxruntime")
REHEARSALS = 2
"""Networks that are cut and timed before the table of layers is believed."""


def check_runtime(name: str) -> None:
    """Raises:
    PlanError: there is no such runtime.
    """
    if name not in RUNTIMES:
        raise PlanError(f"latency cannot be measured in {name!r}; choose one of {', '.join(RUNTIMES)}")


def cost_model(
    network: Network,
    channels: Channels,
    budget: Budget,
    runtime: str = "torch",
    *,
    round_to: int = 1,
    protect: Sequence[str] = (),
) -> CostModel:
    """The model in which this budget can be stated, at the image size that it names.

    Raises:
        PlanError: the time cannot be met, however much is cut.
    """
    if budget.kind != "latency":
        return model(network, channels, size=budget.size, kinds=(budget.kind,))
    lr_size = lr_size_of(network.scale, budget.size)
    clock = clock_of(runtime, lr_size)
    [whole] = clock([network])
    timer = onnx_timer() if runtime == "onnxruntime" else torch_timer(_device(network))
    costs = model(network, channels, size=budget.size, kinds=("latency",), timer=timer, whole=whole)
    for _ in range(REHEARSALS):
        costs = rehearsed(network, channels, costs, budget, clock, round_to=round_to, protect=protect)
    return costs


Clock = Callable[[Sequence[Network]], list[float]]
"""Milliseconds that whole networks take, run in turn."""


def rehearsed(
    network: Network,
    channels: Channels,
    costs: CostModel,
    budget: Budget,
    clock: Clock,
    *,
    round_to: int = 1,
    protect: Sequence[str] = (),
) -> CostModel:
    """The model corrected by the time of a network that equal shares cut to the budget.

    Layers timed alone leave out what they wait for in a network: memory, conversions, operators between them.

    Raises:
        PlanError: the budget cannot be met.
    """
    even = {group.name: np.zeros(group.channels) for group in channels.prunable}
    kept = allocate(channels, even, budget, by="uniform", round_to=round_to, protect=protect, cost=costs)
    plan = channels.plan(kept)
    left, curve = shares(costs, plan), costs.of("latency")
    whole, got = clock([network, cut(network, plan)])
    say(
        f"a network cut to {budget} takes {got:.4g} ms, the dense one {whole:.4g} ms; "
        f"{curve(left) / curve(np.ones(len(left))) * whole:.4g} ms were expected"
    )
    return replace(costs, further=dict(costs.further) | {"latency": Corrected.by(curve, left, got, whole)})


def lanes(network: Network) -> int:
    """Channels of which multiples run best: as many as one instruction takes; 33 are no faster than 40 or 48."""
    wide = _device(network).type == "cpu" and torch.backends.cpu.get_cpu_capability() == "AVX512"
    return 16 if wide else 8


def shares(costs: CostModel, plan: PrunePlan) -> np.ndarray:
    """The share of its channels that each group keeps, in the order of the model."""
    left = {choice.group: len(choice.kept) / choice.channels for choice in plan.choices}
    return np.array([left.get(name, 1.0) for name in costs.names])


def clock_of(runtime: str, lr_size: tuple[int, int]) -> Clock:
    """What times whole networks in a runtime."""
    if runtime != "onnxruntime":
        return partial(_in_torch, lr_size=lr_size)
    exported = cache(partial(_exported, lr_size=lr_size))  # the dense network is timed again beside every cut
    return lambda networks: fastest([exported(network) for network in networks])


def _device(network: Network) -> torch.device:
    return next(network.parameters()).device


def _in_torch(networks: Sequence[Network], lr_size: tuple[int, int]) -> list[float]:
    found = measure({str(k): network for k, network in enumerate(networks)}, lr_size, runs=RUNS)
    return [each.median for each in found.values()]


def _exported(network: Network, lr_size: tuple[int, int]) -> Callable[[], Tensor]:
    """A run of one image in onnxruntime.

    Raises:
        EspalierError: it cannot be exported.
    """
    from espalier.export import onnx
    from espalier.export.target import Request

    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter("ignore")
        path = Path(folder) / "network.onnx"
        onnx.write(network, path, Request(fixed=lr_size))
        return partial(onnx.reader(path), example(lr_size))
