"""`espalier distill`, as a person calls it."""

import json
from pathlib import Path

import pytest
import torch
import yaml

from espalier.cli import run, split
from espalier.errors import EspalierError, NetworkError
from espalier.networks.file import save
from espalier.networks.load import load
from tests.launched import ESPALIER, passed
from tests.recipes.conftest import write_photos

TEACHER = "srresnet(scale=2, blocks=3, channels=8, kernel=3)"
FLAGS = (
    "--batch 2 --patch 12 --gan.channels 4 --hold-out 1 --no-timing --device cpu --log-every 1 --save-every 2"
)
LOSSES = "l1=1,teacher=1,perceptual=0.006,features=0.1,gan=0.01"


@pytest.fixture
def teacher(tmp_path: Path) -> Path:
    torch.manual_seed(0)
    save(load(TEACHER), tmp_path / "teacher.safetensors")
    return tmp_path / "teacher.safetensors"


@pytest.fixture(autouse=True)
def without_vgg(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("ESPALIER_VGG19", raising=False)


def words(
    teacher: Path, photos: Path, out: Path, *more: str, student: str = "blocks=1", steps: int = 4
) -> list[str]:
    named = ["--teacher", str(teacher), "--student", student, "--data", str(photos), "--out", str(out)]
    return ["distill", *named, "--steps", str(steps), *FLAGS.split(), *more]


def distill(*arguments: object, **more: object) -> None:
    run(split(words(*arguments, **more)))  # type: ignore[arg-type]


def points(out: Path) -> list[dict]:
    return [json.loads(line) for line in (out / "log.jsonl").read_text().splitlines()]


def test_a_run_leaves_everything_behind(
    teacher: Path, photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "run"
    distill(teacher, photos, out, "--losses", LOSSES)
    told = capsys.readouterr()
    assert "perceptual is off" in told.err
    assert "begin as the teacher's" in told.err
    assert "The recovered network keeps" in told.out
    last = points(out)[-1]
    assert set(last["losses"]) == {"l1", "teacher", "features", "gan", "total"}
    assert set(last["facts"]) == {"D(real)", "D(made)", "D loss"}
    config = yaml.safe_load((out / "config.yaml").read_text())
    assert (config["student"], config["losses"], config["gan"]["channels"]) == ("blocks=1", LOSSES, 4)
    rows = json.loads((out / "cost.json").read_text())["rows"]
    assert rows["recovered"]["params"] < rows["dense"]["params"]
    assert list(json.loads((out / "metrics.json").read_text())["rows"]) == ["bicubic", "dense", "recovered"]
    assert (out / "report" / "index.html").is_file()
    assert load(out / "network.safetensors").base.arguments["blocks"] == 1


def test_resumed_it_ends_as_if_uninterrupted(teacher: Path, photos: Path, tmp_path: Path) -> None:
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    flags = ("--losses", "l1=1,gan=0.01", "--schedule", "constant")
    distill(teacher, photos, whole, *flags)
    distill(teacher, photos, parts, *flags, steps=2)
    distill(teacher, photos, parts, *flags, "--resume")
    one, two = (load(out / "network.safetensors").state_dict() for out in (whole, parts))
    assert all(torch.equal(one[name], two[name]) for name in one)
    assert [point["step"] for point in points(parts)] == [1, 2, 3, 4]


@pytest.mark.parametrize(
    "student", ["pruned:params=0.6", "edsr(scale=2, blocks=1, channels=4)", "channels=4"]
)
def test_students_of_every_kind(student: str, teacher: Path, photos: Path, tmp_path: Path) -> None:
    distill(teacher, photos, tmp_path / "run", "--losses", "l1=1,features=0.1", student=student, steps=1)
    made, whole = load(tmp_path / "run" / "network.safetensors"), load(teacher)
    sizes = [sum(p.numel() for p in network.parameters()) for network in (made, whole)]
    assert sizes[0] < 0.65 * sizes[1]


def test_a_trained_student_is_taken_as_it_is(teacher: Path, photos: Path, tmp_path: Path) -> None:
    torch.manual_seed(5)
    student = load("srresnet(scale=2, blocks=1, channels=8, kernel=3)")
    save(student, tmp_path / "student.safetensors")
    distill(teacher, photos, tmp_path / "run", student=str(tmp_path / "student.safetensors"), steps=0)
    begun = load(tmp_path / "run" / "checkpoints" / "student.safetensors").state_dict()
    assert all(torch.equal(begun[name], tensor) for name, tensor in student.state_dict().items())


@pytest.mark.parametrize(
    ("more", "student", "message"),
    [
        (["--losses", "l1=1,gam=1"], "blocks=1", "did you mean 'gan'"),
        (["--gan.kind", "wgan"], "blocks=1", "relativistic"),
        ([], "block=1", "no argument 'block'"),
        ([], "srresnet(scale=4, blocks=1, channels=8)", "give a student for ×2"),
        ([], "pruned:params=2", "out of range"),
        (["--losses", "l1=1,features=1", "--features.layers", "blocks.9"], "blocks=1", "no layer 'blocks.9'"),
    ],
)
def test_mistakes_leave_no_folder(
    more: list[str], student: str, message: str, teacher: Path, photos: Path, tmp_path: Path
) -> None:
    with pytest.raises(Exception, match=message):
        distill(teacher, photos, tmp_path / "run", *more, student=student)
    assert not (tmp_path / "run").exists()


def test_another_run_and_other_settings_are_refused(
    teacher: Path, photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    distill(teacher, photos, tmp_path / "run", steps=1)
    monkeypatch.setattr("espalier.recipes.distill.made", lambda *_: pytest.fail("a student was made first"))
    with pytest.raises(EspalierError, match=r"holds a run already.* --resume to go on with it"):
        distill(teacher, photos, tmp_path / "run", steps=1)
    with pytest.raises(EspalierError, match=r"losses was 'l1=1,teacher=1' and is now 'l1=1'"):
        distill(teacher, photos, tmp_path / "run", "--resume", "--losses", "l1=1", steps=1)


def test_a_pruned_teacher_is_no_plain_member(teacher: Path, photos: Path, tmp_path: Path) -> None:
    distill(teacher, photos, tmp_path / "run", student="pruned:params=0.6", steps=0)
    with pytest.raises(NetworkError, match="no plain member"):
        distill(tmp_path / "run" / "network.safetensors", photos, tmp_path / "two")


def test_two_workers(teacher: Path, tmp_path: Path) -> None:
    """Each wrote half of what one with twice the batch would have seen; only the first wrote files."""
    photos = write_photos(tmp_path / "photos", 3)
    arguments = words(teacher, photos, tmp_path / "run", "--losses", "l1=1,features=0.1,gan=0.01")
    told = passed(*ESPALIER, *arguments)
    assert [point["step"] for point in points(tmp_path / "run")] == [1, 2, 3, 4]
    assert told.count("The recovered network keeps") == 1
