"""Latency as a sum over a table, with a timer that knows the answer; and real ones."""

import numpy as np
import pytest
import torch

from espalier.allocation import Budget, allocate
from espalier.costs.model import model
from espalier.costs.sites import Shape, sites
from espalier.costs.table import GRAIN, Corrected, Table, fastest, input_of, layer_of, onnx_timer, torch_timer
from espalier.importance import scores
from tests import zoo

SIZE = (48, 64)


def fake(shape: Shape) -> float:
    """A device that works on sixteen outputs at a time."""
    return 1e-3 * shape.inputs * -(-shape.outputs // 16)


def conv(inputs: int, outputs: int, **changed: object) -> Shape:
    given = {
        "kind": "conv", "inputs": inputs, "outputs": outputs, "groups": 1, "kernel": (3, 3), "stride": (1, 1),
        "padding": (1, 1), "dilation": (1, 1), "size": (12, 16),
    }  # fmt: skip
    return Shape(**given | changed)  # type: ignore[arg-type]


def test_every_layer_is_timed_once_for_each_width() -> None:
    asked: list[Shape] = []

    def timer(shape: Shape) -> float:
        asked.append(shape)
        return 1.0

    table = Table(timer)
    assert [table(conv(8, 8)), table(conv(8, 8)), table(conv(8, 16))] == [1.0, 1.0, 1.0]
    assert asked == [conv(8, 8), conv(8, 16)]


@pytest.mark.parametrize("name", ["edsr", "carn", "fsrcnn", "rfdn", "SwinIR", "pan"])
def test_the_whole_network_is_the_sum_of_its_layers(name: str) -> None:
    network, channels = zoo.network(zoo.find(name)), zoo.channels(zoo.find(name))
    costs = model(network, channels, size=SIZE, kinds=("latency",), timer=lambda _: 1.0)
    calls = sum(site.calls for site in sites(network, channels, tuple(s // network.scale for s in SIZE)))  # type: ignore[arg-type]
    assert costs.of("latency")(np.ones(len(costs.names))) == calls > 2


def test_what_layers_do_not_explain_shrinks_with_their_output() -> None:
    network, channels = zoo.network(zoo.find("edsr")), zoo.channels(zoo.find("edsr"))
    bare = model(network, channels, size=SIZE, kinds=("latency",), timer=fake).of("latency")
    layers = bare(np.ones(len(channels.cost.names)))
    costs = model(network, channels, size=SIZE, kinds=("latency",), timer=fake, whole=layers + 5).of(
        "latency"
    )
    whole, half = np.ones(len(channels.cost.names)), np.full(len(channels.cost.names), 0.5)
    assert costs(whole) == pytest.approx(layers + 5)
    assert 1 < costs(half) - bare(half) < 5


def test_a_correction_goes_through_both_measurements() -> None:
    def curve(kept: np.ndarray) -> float:
        return 2 + float(kept.sum())

    half, whole, between = np.full(4, 0.5), np.ones(4), np.full(4, 0.75)
    told = Corrected.by(curve, half, measured=50.0, whole=60.0)
    assert told(half) == pytest.approx(50)
    assert told(whole) == pytest.approx(60)
    assert told(between) == pytest.approx(55)
    again = Corrected.by(told, between, measured=56.0, whole=60.0)
    assert again(between) == pytest.approx(56)


def test_a_cut_network_that_seems_slower_is_noise() -> None:
    told = Corrected.by(lambda kept: float(kept.sum()), np.full(4, 0.5), measured=70.0, whole=60.0)
    assert told(np.full(4, 0.5)) < told(np.ones(4)) == pytest.approx(60)


def test_a_latency_budget_takes_widths_at_which_the_time_falls() -> None:
    from espalier.channels import analyse, sample_inputs
    from espalier.networks.load import load

    network = load("edsr(scale=2, blocks=3, channels=48)")
    channels = analyse(network.body, network.encode(sample_inputs(3, 12, 12)))
    costs = model(network, channels, size=SIZE, kinds=("latency",), timer=fake)
    found = scores("l2", network.body, channels.prunable)
    kept = allocate(channels, found, Budget.parse("latency=0.5"), by="uniform", round_to=8, cost=costs)
    left = np.array([len(kept.get(g.name, range(g.channels))) / g.channels for g in channels.groups])
    assert costs.of("latency")(left) <= 0.5 * costs.of("latency")(np.ones(len(left)))
    assert kept
    assert all(len(k) % 8 == 0 for k in kept.values())


def test_widths_between_are_timed_as_the_next_one() -> None:
    network, channels = zoo.network(zoo.find("edsr")), zoo.channels(zoo.find("edsr"))
    asked: set[Shape] = set()

    def timer(shape: Shape) -> float:
        asked.add(shape)
        return 1.0

    curve = model(network, channels, size=SIZE, kinds=("latency",), timer=timer).of("latency")
    curve(np.full(len(channels.cost.names), 0.4))
    widths = {s.outputs for s in asked} | {s.inputs for s in asked}
    dense = {s.shape.outputs for s in sites(network, channels, (24, 32))} | {3}
    assert all(w % GRAIN == 0 or w in dense or w in {s.inputs for s in asked} for w in widths)
    assert any(w % GRAIN == 0 for w in widths)


SHAPES = [
    conv(8, 16),
    conv(8, 8, groups=8),
    conv(8, 16, kind="transposed", kernel=(4, 4), stride=(2, 2)),
    conv(8, 16, kind="linear", kernel=(), stride=(), padding=(), dilation=(), size=(50,)),
]


@pytest.mark.parametrize("shape", SHAPES)
def test_layers_are_built_as_their_shape_says(shape: Shape) -> None:
    with torch.no_grad():
        out = layer_of(shape)(input_of(shape))
    assert out.shape[-1 if shape.kind == "linear" else 1] == shape.outputs
    assert torch_timer(runs=3)(shape) > 0


@pytest.mark.parametrize("shape", SHAPES)
def test_onnxruntime_times_the_same_layers(shape: Shape) -> None:
    pytest.importorskip("onnxruntime")
    assert onnx_timer(runs=3)(shape) > 0


def test_the_slower_runs_do_not_count() -> None:
    import time

    pauses = iter([0.0, 0.0, 0.002, 0.05, 0.002, 0.05, 0.002])
    assert fastest([lambda: time.sleep(next(pauses))])[0] < 20


@pytest.mark.slow
@pytest.mark.parametrize("timer", [torch_timer, onnx_timer])
def test_wide_layers_take_longer(timer) -> None:  # type: ignore[no-untyped-def]
    if timer is onnx_timer:
        pytest.importorskip("onnxruntime")
    time = timer()
    wide, narrow = conv(64, 64, size=(96, 96)), conv(16, 16, size=(96, 96))
    assert time(wide) > 3 * time(narrow)
