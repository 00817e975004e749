"""Several methods act as one."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from espalier.data import PackedImages
from espalier.methods.protocol import Batch, Context, Idle, Method
from espalier.methods.together import Together
from espalier.plan import PrunePlan
from espalier.training import TrainSettings, fit
from tests.training.conftest import make_images


class Scale(Idle):
    """Pulls a number of its own towards the brightness of the target; counts what it is asked."""

    def __init__(self, name: str, calls: list[str]) -> None:
        self.name, self.calls, self.steps = name, calls, 0

    def start(self, context: Context) -> None:
        self.number = nn.Parameter(torch.zeros(()))
        self.calls.append(f"{self.name} start {context.steps}")

    def parameters(self) -> Iterable[nn.Parameter]:
        return (self.number,)

    def losses(self, batch: Batch) -> Mapping[str, Tensor]:
        return {self.name: (self.number - batch.hr.mean()).abs()}

    def after_step(self, step: int) -> PrunePlan | None:
        del step
        self.steps += 1
        return None

    def done(self, step: int) -> bool:
        return self.name == "b" and step == 2

    def facts(self) -> Mapping[str, float]:
        return {f"{self.name} steps": self.steps}

    def finish(self) -> None:
        self.calls.append(f"{self.name} finish")

    def state_dict(self) -> dict[str, Any]:
        return {"number": self.number.detach(), "steps": self.steps}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        self.number.data.copy_(state["number"])
        self.steps = state["steps"]


@pytest.fixture
def images(tmp_path: Path) -> PackedImages:
    return make_images(tmp_path)


def network() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(3, 12, 3, padding=1), nn.PixelShuffle(2))


def test_all_hooks_reach_all(images: PackedImages) -> None:
    calls: list[str] = []
    first, second = Scale("a", calls), Scale("b", calls)
    both: Method = Together(first, second)
    settings = TrainSettings(steps=5, batch=2, patch=6, lr=0.01)
    history = fit(network(), images, settings, method=both, progress=False)
    assert history.steps == 3  # the second had enough
    assert set(history.points[-1].losses) == {"l1", "a", "b", "total"}
    assert history.points[-1].facts == {"a steps": 3, "b steps": 3}
    assert calls == ["a start 5", "b start 5", "b finish", "a finish"]
    assert first.number.item() == pytest.approx(second.number.item())
    assert first.number.item() > 0


def test_states_go_on(images: PackedImages, tmp_path: Path) -> None:
    methods = []
    for steps, resume in ((2, False), (5, True)):
        methods = [Scale("a", []), Scale("c", [])]
        settings = TrainSettings(steps=steps, batch=2, patch=6, schedule="constant")
        run = tmp_path / "run"
        fit(network(), images, settings, method=Together(*methods), run=run, resume=resume, progress=False)
    assert [method.steps for method in methods] == [5, 5]


def test_two_cuts_at_once_are_a_mistake() -> None:
    class Cutter(Idle):
        def after_step(self, step: int) -> PrunePlan | None:
            del step
            return PrunePlan(())

    assert Together(Cutter(), Idle()).after_step(0) == PrunePlan(())
    with pytest.raises(AssertionError, match="two methods cut"):
        Together(Cutter(), Cutter()).after_step(0)
