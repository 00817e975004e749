"""Budgets of time, memory and activations through the whole of pruning."""

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch

from espalier.costs import count, memory
from espalier.costs.model import model
from espalier.costs.sites import Shape
from espalier.data import pack
from espalier.errors import PlanError
from espalier.networks.load import load
from espalier.networks.network import Network
from espalier.recipes import timing
from espalier.recipes.inspect import trace
from espalier.recipes.prune import Pruned, Request, prune

SIZED = "edsr(scale=2, blocks=2, channels=32)"


def pruned(photos: Path, budget: str, **changed: object) -> Pruned:
    given = {
        "budget": budget, "method": "magnitude", "criterion": "l2", "allocation": "uniform", "round_to": None,
        "protect": (), "seed": 0,
    }  # fmt: skip
    return prune(load(SIZED), Request(**given | changed), pack(photos, 2))  # type: ignore[arg-type]


def even(shape: Shape) -> float:
    """Fast hardware without steps."""
    return shape.inputs * shape.outputs * float(np.prod(shape.kernel) * np.prod(shape.size)) * 1e-6


def even_time(network: Network, lr_size: tuple[int, int] = (360, 640)) -> float:
    """What a whole network takes on it."""
    size = (lr_size[0] * network.scale, lr_size[1] * network.scale)
    curve = model(network, trace(network), size=size, kinds=("latency",), timer=even).of("latency")
    return curve(np.ones(len(trace(network).cost.names)))


def in_turn(clock: Callable[[Network], float], networks: Sequence[Network]) -> list[float]:
    return [clock(network) for network in networks]


@pytest.fixture
def fake(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.backends.cpu, "get_cpu_capability", lambda: "AVX2")
    monkeypatch.setattr(timing, "torch_timer", lambda _: even)
    monkeypatch.setattr(
        timing, "clock_of", lambda _, lr_size: partial(in_turn, partial(even_time, lr_size=lr_size))
    )


def test_what_a_whole_network_takes_is_what_a_budget_means(
    photos: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A device on which only 0.7 of each saving of the layers is seen."""
    dense = even_time(load(SIZED))

    def clock(network: Network) -> float:
        return 10 * (0.3 * dense + 0.7 * even_time(network))

    monkeypatch.setattr(timing, "torch_timer", lambda _: even)
    monkeypatch.setattr(timing, "clock_of", lambda *_: partial(in_turn, clock))
    for budget in ("latency=0.6", f"latency={6 * dense}ms"):
        found = pruned(photos, budget, round_to=1)
        assert found.plan is not None
        assert 0.57 < found.plan.notes["predicted"] <= 0.6
        assert clock(found.network) / clock(load(SIZED)) == pytest.approx(
            found.plan.notes["predicted"], rel=0.01
        )
    assert "ms were expected" in capsys.readouterr().err
    with pytest.raises(PlanError, match="cannot be met"):
        pruned(photos, "latency=0.31")


@pytest.mark.usefixtures("fake")
def test_a_share_of_the_time_in_round_widths(photos: Path) -> None:
    found = pruned(photos, "latency=0.5")
    assert found.plan is not None
    assert found.plan.notes["round_to"] == 8  # as on a processor without AVX-512
    assert 0.2 < found.plan.notes["predicted"] <= 0.5
    assert all(len(choice.kept) % 8 == 0 for choice in found.plan.choices)
    assert found.plan.notes["macs"] == pytest.approx(found.plan.notes["predicted"], rel=0.05)


@pytest.mark.usefixtures("fake")
def test_milliseconds_at_a_size(photos: Path) -> None:
    dense = timing.cost_model(load(SIZED), *_asked("latency=0.5@64x48")).of("latency")
    whole = dense(np.ones(len(_channels().cost.names)))
    found = pruned(photos, f"latency={0.6 * whole:.6f}ms@64x48", round_to=1)
    assert found.plan is not None
    assert 0.5 < found.plan.notes["predicted"] <= 0.6


def test_wider_registers_want_wider_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    network = load(SIZED)
    for capability, step in (("AVX512", 16), ("AVX2", 8), ("DEFAULT", 8)):
        monkeypatch.setattr(torch.backends.cpu, "get_cpu_capability", lambda found=capability: found)
        assert timing.lanes(network) == step


def _channels():  # type: ignore[no-untyped-def]
    return trace(load(SIZED))


def _asked(budget: str):  # type: ignore[no-untyped-def]
    from espalier.allocation import Budget

    return _channels(), Budget.parse(budget)


def test_activations_and_memory(photos: Path) -> None:
    dense = load(SIZED)
    found = pruned(photos, "activations=0.6")
    assert count(found.network).activations <= 0.6 * count(dense).activations
    found = pruned(photos, "memory=0.7")
    assert memory.peak(found.network).total <= 0.72 * memory.peak(dense).total


@pytest.mark.usefixtures("fake")
def test_impossible_times_and_unknown_runtimes_are_refused(photos: Path) -> None:
    with pytest.raises(PlanError, match=r"latency=0.001 cannot be met: .* of the dense latency"):
        pruned(photos, "latency=0.001")
    with pytest.raises(PlanError, match="'tensorrt'; choose one of torch, onnxruntime"):
        pruned(photos, "latency=0.5", latency_runtime="tensorrt")


@pytest.mark.slow
@pytest.mark.parametrize("runtime", timing.RUNTIMES)
def test_real_times(photos: Path, runtime: str) -> None:
    if runtime == "onnxruntime":
        pytest.importorskip("onnxruntime")
    found = pruned(photos, "latency=0.6@320x240", latency_runtime=runtime)
    assert found.plan is not None
    assert 0.2 < found.plan.notes["predicted"] <= 0.6
    assert found.plan.notes["macs"] < 0.8
