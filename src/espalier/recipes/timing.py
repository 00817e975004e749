"""The cost model that a budget needs: for latency, layers and the whole network timed in the wanted runtime."""

import tempfile
import warnings
from pathlib import Path

import torch

from espalier.allocation import Budget
from espalier.channels import Channels
from espalier.channels.cost import CostModel
from espalier.costs.latency import measure
from espalier.costs.model import lr_size_of, model
from espalier.costs.running import example
from espalier.costs.table import Timer, fastest, onnx_timer, torch_timer
from espalier.errors import PlanError
from espalier.networks.network import Network

RUNTIMES = ("torch", "onnxruntime")


def check_runtime(name: str) -> None:
    """Raises:
    PlanError: there is no such runtime.
    """
    if name not in RUNTIMES:
        raise PlanError(f"latency cannot be measured in {name!r}; choose one of {', '.join(RUNTIMES)}")


def cost_model(network: Network, channels: Channels, budget: Budget, runtime: str = "torch") -> CostModel:
    """The model in which this budget can be stated, at the image size that it names."""
    if budget.kind != "latency":
        return model(network, channels, size=budget.size, kinds=(budget.kind,))
    lr_size = lr_size_of(network.scale, budget.size)
    timer, whole = (
        _in_onnxruntime(network, lr_size) if runtime == "onnxruntime" else _in_torch(network, lr_size)
    )
    return model(network, channels, size=budget.size, kinds=("latency",), timer=timer, whole=whole)


def _in_torch(network: Network, lr_size: tuple[int, int]) -> tuple[Timer, float]:
    device = next(network.parameters()).device
    return torch_timer(device), measure({"dense": network}, lr_size, runs=5)["dense"].median


def _in_onnxruntime(network: Network, lr_size: tuple[int, int]) -> tuple[Timer, float]:
    timer = onnx_timer()
    return timer, onnx_time(network, lr_size)


def onnx_time(network: Network, lr_size: tuple[int, int]) -> float:
    """Milliseconds of a whole network in onnxruntime.

    Raises:
        EspalierError: it cannot be exported.
    """
    from espalier.export import onnx
    from espalier.export.target import Request

    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        path = Path(folder) / "dense.onnx"
        onnx.write(network, path, Request(fixed=lr_size))
        run = onnx.reader(path)
        image = example(lr_size)
        with torch.no_grad():
            return fastest(lambda: run(image))
