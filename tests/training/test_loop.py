"""The loop: it learns, resumes bit for bit, calls the hooks in order, and stops with a reason."""

import dataclasses
import json
import math
import os
import shutil
import signal
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from espalier.data import PackedImages
from espalier.errors import OutputError
from espalier.methods.protocol import Batch, Context, Idle
from espalier.plan import Cut, PrunePlan
from espalier.training import Interrupted, TrainingError, TrainSettings, fit, psnr_on
from espalier.training.checkpoint import DamagedCheckpointWarning, list_checkpoints, read_checkpoint
from tests.training.conftest import make_images

SETTINGS = TrainSettings(
    steps=12,
    batch=4,
    patch=6,
    lr=3e-3,
    ema=0.9,
    clip=1.0,
    accumulate=2,
    warmup=2,
    validate_every=5,
    save_every=4,
    log_every=3,
)
Build = Callable[[], nn.Module]


def same(a: nn.Module, b: nn.Module) -> bool:
    return all(
        torch.equal(x, y) for x, y in zip(a.state_dict().values(), b.state_dict().values(), strict=True)
    )


def stop_after(step: int) -> Callable[[nn.Module], Mapping[str, float]]:
    """A validation that presses Ctrl-C once."""
    calls = []

    def validate(_network: nn.Module) -> Mapping[str, float]:
        calls.append(1)
        if len(calls) == 1:
            os.kill(os.getpid(), signal.SIGINT)
        return {"psnr": 20.0 + len(calls)}

    assert step == SETTINGS.validate_every
    return validate


def test_it_learns(network: Build, images: PackedImages) -> None:
    trained = network()
    settings = dataclasses.replace(SETTINGS, steps=150, ema=0.95, accumulate=1, validate_every=50)
    history = fit(trained, images, settings, validate=psnr_on(images), progress=False)
    assert history.steps == 150
    assert history.best is not None
    assert history.points[-1].losses["total"] < history.points[0].losses["total"] / 2
    assert psnr_on(images)(trained)["psnr"] == pytest.approx(history.last_psnr)
    assert not trained.training


def test_same_seed_same_weights(network: Build, images: PackedImages) -> None:
    one, two, other = network(), network(), network()
    fit(one, images, SETTINGS, progress=False)
    torch.rand(3)  # the caller's random numbers play no part
    fit(two, images, SETTINGS, progress=False)
    fit(other, images, dataclasses.replace(SETTINGS, seed=1), progress=False)
    assert same(one, two)
    assert not same(one, other)


def test_the_callers_random_numbers_are_left_alone(network: Build, images: PackedImages) -> None:
    trained = network()
    torch.manual_seed(5)
    expected = torch.rand(2)
    torch.manual_seed(5)
    fit(trained, images, SETTINGS, progress=False)
    assert torch.equal(torch.rand(2), expected)


@pytest.mark.parametrize(
    ("schedule", "optimizer"),
    [("cosine", "adam"), ("step", "adamw"), ("plateau", "adam"), ("constant", "adam"), ("cosine", "soap")],
)
def test_resume_is_bit_exact(
    network: Build, images: PackedImages, tmp_path: Path, schedule: Any, optimizer: Any
) -> None:
    settings = dataclasses.replace(SETTINGS, schedule=schedule, patience=0, drop_every=5, optimizer=optimizer)
    whole, parted = network(), network()
    expected = fit(whole, images, settings, validate=lambda _: {"psnr": 1.0}, progress=False)
    with pytest.raises(Interrupted, match=r"after step 5; saved in .*--resume"):
        fit(parted, images, settings, validate=stop_after(5), run=tmp_path, progress=False)
    parted = network()
    history = fit(
        parted, images, settings, validate=lambda _: {"psnr": 1.0}, run=tmp_path, resume=True, progress=False
    )
    if schedule == "plateau":  # the first validation differed, so nothing more is the same
        assert history.points[-1].lr < settings.lr
        return
    assert same(whole, parted)
    assert [p.lr for p in history.points] == [p.lr for p in expected.points]


def test_resuming_a_finished_run_changes_nothing(
    network: Build, images: PackedImages, tmp_path: Path
) -> None:
    first, again = network(), network()
    fit(first, images, SETTINGS, run=tmp_path, progress=False)
    history = fit(again, images, SETTINGS, run=tmp_path, resume=True, progress=False)
    assert same(first, again)
    assert history.steps == 12
    assert history.points[-1].step == 12


def test_a_damaged_checkpoint_falls_back(network: Build, images: PackedImages, tmp_path: Path) -> None:
    whole, resumed = network(), network()
    fit(whole, images, SETTINGS, run=tmp_path, progress=False)
    before, last = list_checkpoints(tmp_path / "checkpoints")
    assert (before.name, last.name) == ("step-000000008.ckpt", "step-000000012.ckpt")
    data = bytearray(last.read_bytes())
    data[len(data) // 2] ^= 1
    last.write_bytes(data)
    with pytest.warns(DamagedCheckpointWarning, match="going back"):
        fit(resumed, images, SETTINGS, run=tmp_path, resume=True, progress=False)
    assert same(whole, resumed)


def test_best_weights_are_kept(network: Build, images: PackedImages, tmp_path: Path) -> None:
    scores = iter([10.0, 30.0, 20.0])
    fit(network(), images, SETTINGS, validate=lambda _: {"psnr": next(scores)}, run=tmp_path, progress=False)
    best = read_checkpoint(tmp_path / "checkpoints" / "best.ckpt")
    assert (best["step"], best["scores"]) == (10, {"psnr": 30.0})


def test_the_log_has_every_point_once(network: Build, images: PackedImages, tmp_path: Path) -> None:
    history = fit(network(), images, SETTINGS, validate=psnr_on(images), run=tmp_path, progress=False)
    lines = [json.loads(line) for line in (tmp_path / "log.jsonl").read_text().splitlines()]
    assert [line["step"] for line in lines] == [3, 5, 6, 9, 10, 12] == [p.step for p in history.points]
    assert lines[1]["scores"]["psnr"] > 0
    assert lines[0]["losses"]["l1"] == lines[0]["losses"]["total"]


def test_accumulation_is_a_larger_batch(network: Build, images: PackedImages) -> None:
    parts, whole = network(), network()
    parts[2], whole[2] = nn.Identity(), nn.Identity()  # dropout draws otherwise in parts
    fit(parts, images, SETTINGS, progress=False)
    fit(whole, images, dataclasses.replace(SETTINGS, accumulate=1, batch=8), progress=False)
    for a, b in zip(parts.parameters(), whole.parameters()):
        torch.testing.assert_close(a, b, rtol=1e-4, atol=1e-6)


def test_a_teacher_is_followed(network: Build, images: PackedImages) -> None:
    teacher, student = network().eval(), network()
    with torch.no_grad():
        for parameter in student.parameters():
            parameter.add_(torch.randn_like(parameter) * 0.05)
    settings = dataclasses.replace(SETTINGS, steps=60, losses={"teacher": 1.0}, accumulate=1, ema=0.0)
    history = fit(student, images, settings, teacher=teacher, progress=False)
    assert history.points[-1].losses["teacher"] < history.points[0].losses["teacher"] / 2
    with pytest.raises(TrainingError, match="compare with a teacher"):
        fit(student, images, settings, progress=False)


@pytest.mark.parametrize("precision", ["bf16", "fp32"])
def test_precision_and_layout(network: Build, images: PackedImages, precision: Any) -> None:
    trained = network()
    history = fit(trained, images, dataclasses.replace(SETTINGS, precision=precision), progress=False)
    assert math.isfinite(history.points[-1].losses["total"])
    assert all(p.dtype == torch.float32 and p.is_contiguous() for p in trained.parameters())


def test_nan_stops_with_the_step_and_the_last_good_checkpoint(
    network: Build, images: PackedImages, tmp_path: Path
) -> None:
    class Poison(Idle):
        def losses(self, batch: Batch) -> Mapping[str, Tensor]:
            return {"extra": batch.output.mean() * (math.nan if batch.step == 9 else 0.0)}

    with pytest.raises(
        TrainingError, match=r"at step 9 \(l1=[0-9.]+, extra=nan, total=nan\).*step-000000008.ckpt"
    ):
        fit(network(), images, SETTINGS, method=Poison(), run=tmp_path, progress=False)


def test_weights_that_are_no_numbers_are_not_saved(
    network: Build, images: PackedImages, tmp_path: Path
) -> None:
    class Spoil(Idle):
        def start(self, context: Context) -> None:
            self.network = context.network

        def after_step(self, step: int) -> None:
            if step == 7:
                next(self.network.parameters()).data[0] = math.inf

    with pytest.raises(TrainingError, match="weight is no longer a number after step 7"):
        fit(network(), images, SETTINGS, method=Spoil(), run=tmp_path, progress=False)
    assert [p.name for p in list_checkpoints(tmp_path / "checkpoints")] == ["step-000000004.ckpt"]


class Recorder(Idle):
    """Writes down every call, and trains a parameter of its own."""

    def __init__(self) -> None:
        self.calls: list[str] = []
        self.gain = nn.Parameter(torch.ones(()))

    def start(self, context: Context) -> None:
        assert context.ema is None
        self.calls.append("start")

    def parameters(self) -> list[nn.Parameter]:
        return [self.gain]

    def ready(self, context: Context) -> None:
        assert context.ema is not None
        self.calls.append("ready")

    def before_step(self, step: int) -> None:
        self.calls.append(f"before {step}")

    def losses(self, batch: Batch) -> Mapping[str, Tensor]:
        self.calls.append("losses" if batch.teacher is None else "taught")
        return {"gain": (self.gain - 2).square()}

    def after_backward(self, step: int) -> None:
        assert self.gain.grad is not None
        self.calls.append(f"backward {step}")

    def after_step(self, step: int) -> None:
        self.calls.append(f"after {step}")

    def done(self, step: int) -> bool:
        return step == 1

    def finish(self) -> None:
        self.calls.append("finish")


def test_hooks_come_in_order(network: Build, images: PackedImages) -> None:
    method = Recorder()
    history = fit(
        network(), images, dataclasses.replace(SETTINGS, accumulate=1), method=method, progress=False
    )
    step = ["before {0}", "losses", "backward {0}", "after {0}"]
    expected = ["start", "ready", *(c.format(s) for s in range(2) for c in step), "finish"]
    assert method.calls == expected
    assert history.steps == 2
    assert method.gain.item() > 1
    assert history.points[-1].losses["gain"] > 0


PLAN = PrunePlan(
    (Cut("0.weight", 0, 8, (0, 2, 5)), Cut("0.bias", 0, 8, (0, 2, 5)), Cut("3.weight", 1, 8, (0, 2, 5)))
)


class Surgeon(Idle):
    """Cuts channels after step 6 and remembers that it did."""

    def __init__(self) -> None:
        self.cuts = 0

    def after_step(self, step: int) -> PrunePlan | None:
        if step != 6:
            return None
        self.cuts += 1
        return PLAN

    def state_dict(self) -> dict[str, Any]:
        return {"cuts": self.cuts}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        self.cuts = state["cuts"]


def test_surgery_while_training_and_resume_after_it(
    network: Build, images: PackedImages, tmp_path: Path
) -> None:
    whole, parted = network(), network()
    fit(whole, images, SETTINGS, method=Surgeon(), progress=False)
    assert whole[0].weight.shape == (3, 3, 3, 3)
    fit(network(), images, SETTINGS, method=Surgeon(), run=tmp_path, progress=False)
    list_checkpoints(tmp_path / "checkpoints")[-1].unlink()
    method = Surgeon()
    fit(parted, images, SETTINGS, method=method, run=tmp_path, resume=True, progress=False)
    assert same(whole, parted)
    assert method.cuts == 1


def test_a_full_disk_stops_with_the_last_good_checkpoint(
    network: Build, images: PackedImages, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write = Path.write_bytes

    def full(path: Path, data: bytes) -> int:
        if "step-000000012" in path.name:
            raise OSError(28, "No space left on device")
        return write(path, data)

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(OutputError, match=r"No space left on device.*step-000000008\.ckpt"):
        fit(network(), images, SETTINGS, run=tmp_path, progress=False)
    assert [p.name for p in list_checkpoints(tmp_path / "checkpoints")] == [
        "step-000000004.ckpt",
        "step-000000008.ckpt",
    ]


def test_the_image_folder_and_its_cache_may_vanish(network: Build, tmp_path: Path) -> None:
    folder = tmp_path / "images"
    folder.mkdir()
    packed = make_images(folder)

    def remove(_network: nn.Module) -> Mapping[str, float]:
        shutil.rmtree(folder, ignore_errors=True)
        return {}

    kept, undisturbed = network(), network()
    fit(undisturbed, packed, SETTINGS, progress=False)
    fit(kept, packed, SETTINGS, validate=remove, progress=False)
    assert not folder.exists()
    assert same(kept, undisturbed)


def test_the_run_folder_may_vanish(network: Build, images: PackedImages, tmp_path: Path) -> None:
    """It is made again: what was computed since is not lost."""

    def remove(_network: nn.Module) -> Mapping[str, float]:
        shutil.rmtree(tmp_path / "run", ignore_errors=True)
        return {}

    trained, resumed = network(), network()
    fit(trained, images, SETTINGS, validate=remove, run=tmp_path / "run", progress=False)
    assert (tmp_path / "run" / "log.jsonl").exists()
    fit(resumed, images, SETTINGS, run=tmp_path / "run", resume=True, progress=False)
    assert same(trained, resumed)


def test_what_a_killed_run_left_half_written_is_removed(
    network: Build, images: PackedImages, tmp_path: Path
) -> None:
    parts = [tmp_path / ".log.jsonl.abc.part", tmp_path / "checkpoints" / ".step-000000004.ckpt.abc.part"]
    parts[1].parent.mkdir()
    for part in parts:
        part.write_bytes(b"half")
    fit(network(), images, SETTINGS, run=tmp_path, progress=False)
    assert not list(tmp_path.rglob("*.part"))


def test_a_full_disk_while_logging_stops_too(
    network: Build, images: PackedImages, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object, **__: object) -> str:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("espalier.training.log.json.dumps", full)
    with pytest.raises(OutputError, match=r"cannot write .*log\.jsonl: No space left on device"):
        fit(network(), images, SETTINGS, run=tmp_path, progress=False)


def test_a_used_folder_is_not_overwritten(network: Build, images: PackedImages, tmp_path: Path) -> None:
    fit(network(), images, SETTINGS, run=tmp_path, progress=False)
    with pytest.raises(TrainingError, match="holds a training already"):
        fit(network(), images, SETTINGS, run=tmp_path, progress=False)


def test_two_runs_in_one_folder(network: Build, images: PackedImages, tmp_path: Path) -> None:
    def intrude(_network: nn.Module) -> Mapping[str, float]:
        with pytest.raises(TrainingError, match="another run is training in"):
            fit(network(), images, SETTINGS, run=tmp_path, progress=False)
        return {"psnr": 1.0}

    fit(network(), images, SETTINGS, validate=intrude, run=tmp_path, progress=False)


def test_another_network_cannot_resume(network: Build, images: PackedImages, tmp_path: Path) -> None:
    fit(network(), images, SETTINGS, run=tmp_path, progress=False)
    other = nn.Sequential(nn.Conv2d(3, 12, 1), nn.PixelShuffle(2))
    with pytest.raises(TrainingError, match="does not fit this network"):
        fit(other, images, SETTINGS, run=tmp_path, resume=True, progress=False)


def test_a_network_without_parameters(images: PackedImages) -> None:
    with pytest.raises(TrainingError, match="no parameters to train"):
        fit(nn.Upsample(scale_factor=2), images, SETTINGS, progress=False)


@pytest.mark.parametrize("wrong", [{"batch": 0}, {"lr": 0.0}, {"ema": 1.0}, {"steps": -1}])
def test_impossible_settings(wrong: dict[str, Any]) -> None:
    with pytest.raises(TrainingError, match=f"{next(iter(wrong))}.*expected"):
        TrainSettings(**wrong)


def test_the_progress_bar_tells_loss_and_psnr(
    network: Build, images: PackedImages, capsys: pytest.CaptureFixture[str]
) -> None:
    fit(network(), images, SETTINGS, validate=lambda _: {"psnr": 31.25})
    told = capsys.readouterr().err
    assert "12/12" in told
    assert "31.250 dB" in told
