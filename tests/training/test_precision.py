"""Half precision with loss scaling, and compiled networks, as far as a CPU can show them."""

import dataclasses
import shutil
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from espalier.data import PackedImages
from espalier.methods.protocol import Batch, Context, Idle
from espalier.plan import Cut, PrunePlan
from espalier.training import TrainSettings, fit, loop
from espalier.training.checkpoint import list_checkpoints, read_checkpoint
from espalier.training.distributed import Workers

SETTINGS = TrainSettings(steps=6, batch=4, patch=6, lr=3e-3, log_every=6, save_every=3)
KEPT = (0, 2, 5)
PLAN = PrunePlan((Cut("0.weight", 0, 8, KEPT), Cut("0.bias", 0, 8, KEPT), Cut("2.weight", 1, 8, KEPT)))
Build = Callable[[], nn.Module]


@pytest.fixture
def network() -> Build:
    def build() -> nn.Module:
        torch.manual_seed(1)
        layers = nn.Conv2d(3, 8, 3, padding=1), nn.ReLU(), nn.Conv2d(8, 12, 3, padding=1), nn.PixelShuffle(2)
        return nn.Sequential(*layers)

    return build


class Recorder(Idle):
    """The weights after every step; a loss whose gradient is too large for 16 bits at one step; one cut."""

    def __init__(self, overflow: int = -1, cut: int = -1) -> None:
        self.overflow, self.cut = overflow, cut
        self.weights: list[Tensor] = []
        self.dtypes: set[torch.dtype] = set()

    def start(self, context: Context) -> None:
        self.network = context.network
        convolution = next(m for m in self.network.modules() if isinstance(m, nn.Conv2d))
        convolution.register_forward_hook(lambda _m, _x, y: self.dtypes.add(y.dtype))

    def losses(self, batch: Batch) -> Mapping[str, Tensor]:
        return {"large": batch.output.mean() * (1e30 if batch.step == self.overflow else 0.0)}

    def after_step(self, step: int) -> PrunePlan | None:
        self.weights.append(next(self.network.parameters()).detach().clone())
        return PLAN if step == self.cut else None


@pytest.mark.parametrize(("precision", "dtype"), [("bf16", torch.bfloat16), ("fp16", torch.float16)])
def test_activations_are_halved_and_weights_are_not(
    network: Build, images: PackedImages, precision: Any, dtype: torch.dtype
) -> None:
    whole, half, method = network(), network(), Recorder()
    expected = fit(whole, images, SETTINGS, progress=False).points[-1].losses["total"]
    settings = dataclasses.replace(SETTINGS, precision=precision)
    history = fit(half, images, settings, method=method, progress=False)
    assert method.dtypes == {dtype}
    assert next(half.parameters()).dtype == torch.float32
    assert history.points[-1].losses["total"] == pytest.approx(expected, rel=1e-2)


def test_a_step_that_overflows_is_left_out(network: Build, images: PackedImages) -> None:
    method, settings = Recorder(overflow=3), dataclasses.replace(SETTINGS, precision="fp16")
    fit(network(), images, settings, method=method, progress=False)
    moved = [not torch.equal(a, b) for a, b in zip(method.weights, method.weights[1:])]
    assert moved == [True, True, False, True, True]


def test_the_scale_is_resumed(network: Build, images: PackedImages, tmp_path: Path) -> None:
    settings = dataclasses.replace(SETTINGS, precision="fp16")
    whole, parted = network(), network()
    fit(whole, images, settings, method=Recorder(1), run=tmp_path, progress=False)
    before, last = list_checkpoints(tmp_path / "checkpoints")
    assert read_checkpoint(before)["scaler"]["scale"] == 2.0**15  # halved once from where it begins
    last.unlink()
    fit(parted, images, settings, method=Recorder(), run=tmp_path, resume=True, progress=False)
    assert all(torch.equal(a, b) for a, b in zip(whole.parameters(), parted.parameters()))


def test_an_overflow_at_another_worker_stops_this_one_too(
    network: Build, images: PackedImages, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A second worker is played: it has the same gradients, but at step 3 an infinite one."""
    steps = iter(range(100))

    def all_reduce(tensor: Tensor, *_: object) -> None:
        tensor.mul_(2)
        if next(steps) == 3:
            tensor[0] = torch.inf

    monkeypatch.setattr(torch.distributed, "all_reduce", all_reduce)
    monkeypatch.setattr(torch.distributed, "broadcast", lambda *_: None)
    monkeypatch.setattr(loop, "current", lambda: Workers(0, 2))
    method, settings = Recorder(), dataclasses.replace(SETTINGS, precision="fp16")
    fit(network(), images, settings, method=method, progress=False)
    moved = [not torch.equal(a, b) for a, b in zip(method.weights, method.weights[1:])]
    assert moved == [True, True, False, True, True]


def compiled_equals_eager(network: Build, images: PackedImages) -> None:
    settings = dataclasses.replace(SETTINGS, compile="default")
    plain, compiled = network(), network()
    fit(plain, images, SETTINGS, method=Recorder(cut=2), progress=False)
    fit(compiled, images, settings, method=Recorder(cut=2), progress=False)
    for a, b in zip(plain.parameters(), compiled.parameters(), strict=True):
        assert a.shape == b.shape
        torch.testing.assert_close(a, b, rtol=1e-4, atol=1e-6)


def test_a_traced_network_trains_as_it_is_across_a_surgery(
    network: Build, images: PackedImages, monkeypatch: pytest.MonkeyPatch
) -> None:
    """torch.compile's tracing without its code generation, which takes a minute."""
    modes: list[str] = []
    trace = partial(torch.compile, backend="eager")

    def compile(module: nn.Module, *, mode: str) -> Any:
        modes.append(mode)
        return trace(module)

    monkeypatch.setattr(torch, "compile", compile)
    compiled_equals_eager(network, images)
    assert modes == ["default", "default"]


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # torch's own, when it loads its compiler
@pytest.mark.skipif(shutil.which("g++") is None, reason="torch.compile needs a C++ compiler on the CPU")
def test_a_compiled_network_trains_as_it_is_across_a_surgery(network: Build, images: PackedImages) -> None:
    compiled_equals_eager(network, images)
