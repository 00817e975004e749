"""The protocol carries a second network: an adversarial method, resumed bit for bit."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn.functional import softplus

from espalier.data import PackedImages
from espalier.methods.protocol import Batch, Context, Idle, Method
from espalier.training import TrainSettings, fit
from espalier.training.checkpoint import list_checkpoints

SETTINGS = TrainSettings(steps=8, batch=4, patch=6, lr=1e-3, ema=0.9, save_every=3)


class Adversary(Idle):
    """A discriminator with an optimizer of its own, moved after each step of the generator."""

    def start(self, context: Context) -> None:
        self.context = context
        torch.manual_seed(context.seed)
        self.judge = nn.Sequential(nn.Conv2d(3, 4, 3, 2), nn.LeakyReLU(0.2), nn.Conv2d(4, 1, 3))
        self.optimizer = torch.optim.Adam(self.judge.parameters(), 1e-3)
        self.said = 0.0

    def losses(self, batch: Batch) -> Mapping[str, Tensor]:
        self.real, self.made = batch.hr, batch.output.detach()
        self.judge.requires_grad_(False)
        return {"adversary": 0.01 * softplus(-self.judge(batch.output)).mean()}

    def after_step(self, step: int) -> None:
        assert step < self.context.steps
        self.judge.requires_grad_(True)
        self.optimizer.zero_grad()
        loss = softplus(-self.judge(self.real)).mean() + softplus(self.judge(self.made)).mean()
        loss.backward()
        self.context.average(p.grad for p in self.judge.parameters() if p.grad is not None)
        self.optimizer.step()
        self.said = loss.item()

    def facts(self) -> Mapping[str, float]:
        return {"judge": self.said}

    def state_dict(self) -> dict[str, Any]:
        return {"judge": self.judge.state_dict(), "optimizer": self.optimizer.state_dict()}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        self.judge.load_state_dict(state["judge"])
        self.optimizer.load_state_dict(state["optimizer"])


@pytest.fixture
def method() -> Method:
    return Adversary()  # also checks by its type that an heir of Idle is a Method


def test_both_networks_move_and_resume(
    network: Callable[[], nn.Module], images: PackedImages, method: Method, tmp_path: Path
) -> None:
    whole, resumed, other = network(), network(), Adversary()
    history = fit(whole, images, SETTINGS, method=method, run=tmp_path, progress=False)
    assert history.points[-1].losses["adversary"] > 0
    assert history.points[-1].facts["judge"] > 0
    list_checkpoints(tmp_path / "checkpoints")[-1].unlink()
    fit(resumed, images, SETTINGS, method=other, run=tmp_path, resume=True, progress=False)
    assert isinstance(method, Adversary)
    for a, b in ((whole, resumed), (method.judge, other.judge)):
        assert all(torch.equal(x, y) for x, y in zip(a.state_dict().values(), b.state_dict().values()))


def test_the_adversary_changes_the_generator(network: Callable[[], nn.Module], images: PackedImages) -> None:
    with_one, without = network(), network()
    fit(with_one, images, SETTINGS, method=Adversary(), progress=False)
    fit(without, images, SETTINGS, progress=False)
    pairs = zip(with_one.parameters(), without.parameters())
    assert not all(torch.equal(a, b) for a, b in pairs)
