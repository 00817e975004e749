"""`espalier compress-gan`, as a person calls it."""

import json
import os
import signal
from pathlib import Path

import pytest
import torch

from espalier import training
from espalier.cli import run, split
from espalier.errors import EspalierError
from espalier.networks.file import save
from espalier.networks.load import load
from espalier.recipes import sets, stages
from espalier.sparsity import size
from tests.launched import ESPALIER, passed

TEACHER = "srresnet(scale=2, blocks=3, channels=8, kernel=3)"
FLAGS = (
    "--batch 2 --patch 12 --gan.channels 4 --hold-out 1 --no-timing --device cpu --log-every 1 --save-every 2"
)


@pytest.fixture
def teacher(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.delenv("ESPALIER_VGG19", raising=False)
    torch.manual_seed(0)
    save(load(TEACHER), tmp_path / "teacher.safetensors")
    return tmp_path / "teacher.safetensors"


def words(teacher: Path, photos: Path, out: Path, *more: str, steps: int = 6) -> list[str]:
    named = [str(teacher), "--data", str(photos), "--out", str(out), "--steps", str(steps)]
    return ["compress-gan", *named, "--rounds", "2", *FLAGS.split(), *more]


def test_distil_prune_measure(
    teacher: Path, photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "run"
    run(split(words(teacher, photos, out, "--prune-steps", "8")))
    told = capsys.readouterr()
    assert "perceptual is off" in told.err
    assert "Non-zero [k]" in told.out
    rows = json.loads((out / "stages.json").read_text())
    assert list(rows) == ["teacher", "student", "distilled", "pruned"]
    student, pruned = rows["distilled"], rows["pruned"]
    assert rows["student"]["params"] == student["params"] <= 0.6 * rows["teacher"]["params"]
    assert pruned["nonzero"] == pytest.approx(0.82 * student["params"], abs=2)
    assert pruned["bytes"] < student["bytes"]
    assert pruned["macs"] == student["macs"]  # zeros save no time by themselves
    found = load(out / "network.safetensors")
    assert size(found).nonzero == pruned["nonzero"]
    for name, mask in found.masks.items():
        assert not found.body.get_parameter(name)[~mask].any()
    assert (out / "stages.md").read_text().count("\n") == 6
    assert (out / "report" / "index.html").is_file()


def test_the_adversary_goes_on_in_the_second_stage(teacher: Path, photos: Path, tmp_path: Path) -> None:
    from espalier.training.checkpoint import newest_checkpoint

    out = tmp_path / "run"
    run(
        split(words(teacher, photos, out, "--student", "blocks=1", "--gan.warmup", "2", "--prune-steps", "4"))
    )
    states = [newest_checkpoint(out / place) for place in ("checkpoints", "phases/pruning/checkpoints")]
    steps = [
        next(iter(state["method"]["methods"][-1]["optimizer"]["state"].values()))["step"].item()
        for state in states
        if state is not None
    ]
    assert steps == [4, 8]


def test_whole_channels(teacher: Path, photos: Path, tmp_path: Path) -> None:
    out = tmp_path / "run"
    run(split(words(teacher, photos, out, "--spread", "structured", "--losses", "l1=1", steps=2)))
    rows = json.loads((out / "stages.json").read_text())
    assert rows["pruned"]["params"] <= 0.82 * rows["distilled"]["params"]
    assert rows["pruned"]["macs"] < rows["distilled"]["macs"]
    assert len(load(out / "network.safetensors").plans) == 2


def test_resumed_it_ends_as_if_uninterrupted(teacher: Path, photos: Path, tmp_path: Path) -> None:
    """Stopped in the second stage, whose last checkpoint is lost."""
    out = tmp_path / "run"
    arguments = words(
        teacher, photos, out, "--student", "blocks=1", "--spread", "layer", "--prune-steps", "6"
    )
    run(split(arguments))
    whole = load(out / "network.safetensors").state_dict()
    (out / "network.safetensors").unlink()
    sorted((out / "phases" / "pruning" / "checkpoints").glob("step-*.ckpt"))[-1].unlink()
    run(split([*arguments, "--resume"]))
    again = load(out / "network.safetensors").state_dict()
    assert all(torch.equal(whole[name], again[name]) for name in whole)


def test_ctrl_c_in_either_stage(
    teacher: Path, photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupting(_images: object) -> training.Validation:
        return lambda _network: os.kill(os.getpid(), signal.SIGINT) or {"psnr": 0.0}

    flags = (
        "--student",
        "blocks=1",
        "--prune-steps",
        "6",
        "--losses",
        "l1=1,gan=0.01",
        "--validate-every",
        "3",
    )
    run(split(words(teacher, photos, tmp_path / "whole", *flags)))
    arguments = words(teacher, photos, tmp_path / "parts", *flags)
    with monkeypatch.context() as patch:
        patch.setattr(sets, "psnr_on", interrupting)
        with pytest.raises(training.Interrupted, match="--resume"):
            run(split(arguments))
        with pytest.raises(
            training.Interrupted, match="phases/pruning"
        ):  # the last step ends the first stage
            run(split([*arguments, "--resume"]))
    run(split([*arguments, "--resume"]))
    states = [load(tmp_path / name / "network.safetensors").state_dict() for name in ("whole", "parts")]
    assert all(torch.equal(states[0][name], states[1][name]) for name in states[0])


def test_two_workers(teacher: Path, photos: Path, tmp_path: Path) -> None:
    arguments = words(teacher, photos, tmp_path / "run", "--student", "blocks=1", "--sync-batchnorm", steps=8)
    told = passed(*ESPALIER, *arguments)
    assert told.count("Non-zero [k]") == 1
    assert json.loads((tmp_path / "run" / "stages.json").read_text())["pruned"]["nonzero"]


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (["--prune", "1.5"], "less than 1"),
        (["--spread", "everywhere"], "structured"),
        (["--prune-steps", "1"], "too few for 2 rounds"),
        (["--student", "pruned:params=0"], "out of range"),
    ],
)
def test_mistakes(more: list[str], message: str, teacher: Path, photos: Path, tmp_path: Path) -> None:
    with pytest.raises(Exception, match=message):
        run(split(words(teacher, photos, tmp_path / "run", *more, steps=10)))
    assert not (tmp_path / "run").exists()


def test_a_used_folder_is_refused(teacher: Path, photos: Path, tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "letter.txt").write_text("mine")
    with pytest.raises(EspalierError, match="not empty"):
        run(split(words(teacher, photos, tmp_path / "run", "--student", "blocks=1", steps=8)))


def test_the_table_compares_with_the_first_stage() -> None:
    row = {"psnr": 30.0, "ssim": 0.9, "bytes": 2000, "nonzero": 500, "params": 500, "macs": 1e9}
    rows = {"teacher": row, "pruned": row | {"bytes": 1000, "psnr": 31.0}}
    (_, first), (_, second) = stages.table(rows)
    assert first == ["30.00", "0.9000", "2", "0.5", "0.5", "1.00"]
    assert second[:3] == ["31.00", "0.9000", "1 (50%)"]
