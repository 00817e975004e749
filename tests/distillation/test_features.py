"""Losses between features: values, adapters, the same training in one batch and after a resume."""

import dataclasses
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import nn

from espalier.data import PackedImages
from espalier.distillation.features import LOSSES, Inside, affinity, attention, features
from espalier.distillation.matching import Pair, pairs
from espalier.errors import NetworkError
from espalier.networks.network import Network
from espalier.training import TrainSettings, fit
from espalier.training.checkpoint import list_checkpoints

SETTINGS = TrainSettings(steps=6, batch=2, patch=8, lr=1e-3, save_every=4, log_every=1)
ALL = {"features": 0.1, "attention": 0.1, "affinity": 0.1}


@pytest.mark.parametrize("name", LOSSES)
def test_zero_for_equal_features_and_finite_slopes_at_zero(name: str) -> None:
    x = torch.rand(2, 3, 20, 18, requires_grad=True)
    assert LOSSES[name](x, x.detach()).item() == pytest.approx(0, abs=1e-6)
    flat = torch.zeros(2, 3, 4, 4, requires_grad=True)
    LOSSES[name](flat, torch.rand(2, 3, 4, 4)).backward()
    assert flat.grad is not None
    assert flat.grad.isfinite().all()


def test_features_are_relative() -> None:
    x = torch.rand(2, 3, 4, 4)
    assert features(1.5 * x, x).item() == pytest.approx(0.25, rel=1e-5)
    assert features(1500 * x, 1000 * x).item() == pytest.approx(0.25, rel=1e-5)


def test_attention_ignores_strength_and_channels_but_not_place() -> None:
    x = torch.rand(2, 3, 4, 4)
    assert attention(3 * x.flip(1), x).item() == pytest.approx(0, abs=1e-6)
    here, there = torch.zeros(2, 1, 1, 4, 4)
    here[..., 0, 0], there[..., 3, 3] = 1, 1
    assert attention(here, there).item() == pytest.approx(2)


def test_affinity_ignores_a_turn_of_the_channels() -> None:
    x = torch.randn(1, 4, 5, 5)
    turn = torch.linalg.qr(torch.randn(4, 4)).Q
    assert affinity(torch.einsum("ij,njhw->nihw", turn, x), x).item() == pytest.approx(0, abs=1e-5)
    alike, apart = torch.ones(1, 2, 1, 2), torch.tensor([[[[1.0, 0.0]], [[0.0, 1.0]]]])
    assert affinity(alike, apart).item() == pytest.approx(0.5)


def test_images_of_other_workers_do_not_matter() -> None:
    """The loss of a batch is the mean of its images' losses, so two workers with halves agree with one."""
    a, b = torch.rand(2, 4, 3, 6, 6)
    for loss in LOSSES.values():
        halves = (loss(a[:2], b[:2]) + loss(a[2:], b[2:])) / 2
        assert loss(a, b).item() == pytest.approx(halves.item(), rel=1e-5)


def inside(student: Network, teacher: Network) -> Inside:
    return Inside(teacher, pairs(student.body, teacher.body), ALL)


def test_a_narrower_student_learns_through_adapters(
    generator: Callable[..., Network], images: PackedImages
) -> None:
    teacher, student = generator(2, blocks=3).eval(), generator(blocks=2, channels=4)
    method = inside(student, teacher)
    settings = dataclasses.replace(SETTINGS, steps=25)
    history = fit(student, images, settings, teacher=teacher, method=method, progress=False)
    assert {tuple(a.weight.shape) for a in method.adapters} == {(8, 4, 1, 1)}  # type: ignore[union-attr]
    first, last = history.points[0].losses, history.points[-1].losses
    assert last["features"] < first["features"]
    assert set(first) == {"l1", *ALL, "total"}
    assert not student.body.get_submodule("blocks.0")._forward_hooks
    assert not teacher.body.get_submodule("blocks.1")._forward_hooks


def test_resumed_bit_for_bit(generator: Callable[..., Network], images: PackedImages, tmp_path: Path) -> None:
    teacher, settings = generator(2).eval(), dataclasses.replace(SETTINGS, ema=0.9)
    networks = []
    for again in (False, True):
        student = generator(channels=4)
        method = inside(student, teacher)
        fit(
            student, images, settings, teacher=teacher, method=method, run=tmp_path, resume=again,
            progress=False,
        )  # fmt: skip
        if not again:
            list_checkpoints(tmp_path / "checkpoints")[-1].unlink()
        networks.append([*student.state_dict().values(), *method.adapters.state_dict().values()])
    assert all(torch.equal(a, b) for a, b in zip(*networks))


def test_equal_widths_begin_as_they_are(generator: Callable[..., Network], images: PackedImages) -> None:
    student = generator(1)
    method = Inside(generator(1).eval(), [Pair("blocks.0", "blocks.0")], {"features": 1.0})
    settings = dataclasses.replace(SETTINGS, steps=1)
    student.eval()
    student.train = lambda _mode=True: student  # type: ignore[method-assign]  # the same BatchNorm as the teacher's
    history = fit(student, images, settings, teacher=method.teacher, method=method, progress=False)
    assert history.points[0].losses["features"] == pytest.approx(0, abs=1e-6)


def test_a_layer_without_a_picture_is_named(generator: Callable[..., Network], images: PackedImages) -> None:
    class Odd(nn.Sequential):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            self[1](x.flatten(1)[:, :3])
            return self[2](self[0](x))

    teacher = Odd(nn.Conv2d(3, 12, 3, padding=1), nn.Linear(3, 3), nn.PixelShuffle(2))
    method = Inside(teacher, [Pair("blocks.0", "1")], {"attention": 1.0})
    with pytest.raises(NetworkError, match=r"the layer '1' gives a tensor of \(2, 3\); .*name other layers"):
        fit(generator(), images, SETTINGS, teacher=teacher, method=method, progress=False)
