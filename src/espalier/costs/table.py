"""Time of a network as a function of its widths, from a table of single layers timed on the device at hand."""

import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from espalier.channels.cost import Curve
from espalier.costs.sites import Shape, Site
from espalier.errors import MissingExtraError

Timer = Callable[[Shape], float]
"""Milliseconds that one layer takes."""
GRAIN = 8
"""Widths are timed at multiples of this many channels; others count as the next one, as they run no faster."""
RUNS, WARMUP = 5, 2
LEAST = 0.25
"""Share of an expected saving that is believed in whatever one noisy measurement says."""


@dataclass
class Table:
    """Times of layers, each measured when it is first asked for."""

    timer: Timer
    times: dict[Shape, float] = field(default_factory=dict)

    def __call__(self, shape: Shape) -> float:
        if shape not in self.times:
            self.times[shape] = self.timer(shape)
        return self.times[shape]


@dataclass(frozen=True)
class Latency:
    """Milliseconds of a forward pass: a sum over layers, and a rest that shrinks with what the layers put out."""

    sites: Sequence[Site]
    table: Table
    whole: float | None = None
    """Of the dense network, as measured; the layers' own sum where it is not known."""

    def __call__(self, kept: np.ndarray) -> float:
        return self._layers(kept) + self._rest() * self._outputs(kept) / self._outputs(np.ones(len(kept)))

    def _layers(self, kept: np.ndarray) -> float:
        return sum(site.calls * self.table(_narrowed(site, kept)) for site in self.sites)

    def _rest(self) -> float:
        whole = np.ones(len(self.sites[0].lost_inputs)) if self.sites else np.ones(0)
        return max(0.0, self.whole - self._layers(whole)) if self.whole is not None else 0.0

    def _outputs(self, kept: np.ndarray) -> float:
        return sum(site.calls * site.at(kept)[1] * np.prod(site.shape.size) for site in self.sites) or 1.0


@dataclass(frozen=True)
class Corrected:
    """Another curve, with what it says is saved held to a measurement."""

    curve: Curve
    unit: float = 1.0
    """Milliseconds of the dense network as measured, per millisecond that the curve says."""
    gain: float = 1.0
    """Measured saving per saving that the curve says."""

    @staticmethod
    def by(curve: Curve, kept: np.ndarray, measured: float, whole: float) -> "Corrected":
        """The curve that gives `measured` for this cut and `whole` for the dense network, in milliseconds."""
        dense = curve(np.ones(len(kept)))
        said = 1 - curve(kept) / dense
        saved = max(1 - measured / whole, LEAST * said)
        return Corrected(curve, whole / dense, saved / said if said > 0 else 1.0)

    def __call__(self, kept: np.ndarray) -> float:
        dense = self.curve(np.ones(len(kept)))
        return self.unit * (dense - self.gain * (dense - self.curve(kept)))


def _narrowed(site: Site, kept: np.ndarray) -> Shape:
    """The layer at the widths that are timed for these."""
    shape = site.shape
    inputs, outputs = site.at(kept)
    if shape.groups == 1:
        return replace(shape, inputs=_timed(inputs, shape.inputs), outputs=_timed(outputs, shape.outputs))
    if shape.groups == shape.inputs:
        width = _timed(inputs, shape.inputs)
        return replace(shape, inputs=width, groups=width, outputs=width * (shape.outputs // shape.inputs))
    per, made = inputs / shape.groups, outputs / shape.groups
    return replace(
        shape,
        inputs=_timed(per, shape.inputs // shape.groups) * shape.groups,
        outputs=_timed(made, shape.outputs // shape.groups) * shape.groups,
    )


def _timed(width: float, whole: int) -> int:
    return min(whole, max(1, int(np.ceil((width - 1e-6) / GRAIN)) * GRAIN))


def torch_timer(device: torch.device | str = "cpu", runs: int = RUNS) -> Timer:
    """Times layers in eager torch."""
    place = torch.device(device)

    def timer(shape: Shape) -> float:
        layer, x = layer_of(shape).to(place), input_of(shape).to(place)

        def run() -> None:
            layer(x)
            if place.type == "cuda":
                torch.cuda.synchronize(place)

        with torch.no_grad():
            return fastest([run], runs)[0]

    return timer


def onnx_timer(runs: int = RUNS) -> Timer:
    """Times layers in onnxruntime on the CPU, each as a model of one node, with as many threads as torch has.

    Raises:
        MissingExtraError: onnx or onnxruntime is not installed.
    """
    try:
        import onnxruntime
        from onnx import TensorProto, helper, numpy_helper
    except ImportError as error:
        raise MissingExtraError(
            error.name or "onnxruntime", "onnx", "timing layers in onnxruntime"
        ) from error

    def timer(shape: Shape) -> float:
        layer, x = layer_of(shape), input_of(shape)
        weight = layer.weight.detach()
        values = weight.T.contiguous() if shape.kind == "linear" else weight
        node = helper.make_node(_OPERATORS[shape.kind], ["x", "w"], ["y"], **_attributes(shape))
        graph = helper.make_graph(
            [node],
            "layer",
            [helper.make_tensor_value_info("x", TensorProto.FLOAT, list(x.shape))],
            [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)],
            [numpy_helper.from_array(values.numpy(), "w")],
        )
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=8)
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = torch.get_num_threads()
        session = onnxruntime.InferenceSession(
            model.SerializeToString(), options, providers=["CPUExecutionProvider"]
        )
        fed = {"x": x.numpy()}
        return fastest([lambda: session.run(None, fed)], runs)[0]

    return timer


def fastest(tasks: Sequence[Callable[[], object]], runs: int = RUNS) -> list[float]:
    """Milliseconds of each task, run in turn: the mean of the lower half, as other work can only add to a time."""
    times: list[list[float]] = [[] for _ in tasks]
    for turn in range(WARMUP + runs):
        for task, found in zip(tasks, times, strict=True):
            start = time.perf_counter()
            task()
            if turn >= WARMUP:
                found.append((time.perf_counter() - start) * 1000)
    return [statistics.fmean(sorted(found)[: (runs + 1) // 2]) for found in times]


_OPERATORS = {"conv": "Conv", "transposed": "ConvTranspose", "linear": "MatMul"}


def _attributes(shape: Shape) -> dict[str, Any]:
    if shape.kind == "linear":
        return {}
    return {
        "kernel_shape": list(shape.kernel),
        "strides": list(shape.stride),
        "pads": list(shape.padding) * 2,
        "dilations": list(shape.dilation),
        "group": shape.groups,
    }


def layer_of(shape: Shape) -> nn.Conv2d | nn.ConvTranspose2d | nn.Linear:
    """A layer of this shape, without bias, of random weights."""
    if shape.kind == "linear":
        return nn.Linear(shape.inputs, shape.outputs, bias=False)
    given = {
        "stride": shape.stride,
        "padding": shape.padding,
        "dilation": shape.dilation,
        "groups": shape.groups,
        "bias": False,
    }
    kind = nn.ConvTranspose2d if shape.kind == "transposed" else nn.Conv2d
    return kind(shape.inputs, shape.outputs, shape.kernel, **given)  # pyright: ignore[reportArgumentType]


def input_of(shape: Shape) -> Tensor:
    generator = torch.Generator().manual_seed(0)
    if shape.kind == "linear":
        return torch.rand(*shape.size, shape.inputs, generator=generator)
    return torch.rand(1, shape.inputs, *shape.size, generator=generator)
