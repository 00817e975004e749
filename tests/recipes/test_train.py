"""`espalier train`, as a person calls it."""

import gc
import tarfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from PIL import Image

from espalier.cli import run, split
from espalier.errors import OutputError
from espalier.images.folder import SkippedImageWarning
from espalier.networks.load import load
from espalier.recipes.config import TrainConfig
from espalier.training import TrainingError, TrainSettings
from espalier.training.log import read_log
from tests.launched import ESPALIER, torchrun

NETWORK = "edsr(scale=2, blocks=1, channels=4, peak=1.0)"
FLAGS = "--batch 2 --patch 8 --hold-out 1 --ema 0.5"


@pytest.fixture(autouse=True)
def collected() -> Iterator[None]:
    """webdataset leaves its file open when a stream is dropped: not for the next test to be blamed for."""
    yield
    gc.collect()


@pytest.fixture
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("ESPALIER_CACHE", str(tmp_path / "cache"))
    (tmp_path / "images").mkdir()
    for seed in range(3):
        pixels = np.random.default_rng(seed).integers(0, 256, (24, 20, 3), np.uint8)
        Image.fromarray(pixels).save(tmp_path / "images" / f"{seed}.png")
    return tmp_path / "images"


def train(data: Path, out: Path, *more: str, steps: int = 3) -> None:
    flags = [*FLAGS.split(), "--steps", str(steps)]
    words = ["train", NETWORK, "--data", str(data), "--out", str(out), *flags, *more]
    run(split(words))


def test_a_run_leaves_everything_behind(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    train(data, tmp_path / "run", "--log-every", "1")
    out, _ = capsys.readouterr()
    assert "3 steps" in out
    assert "dB on the validation images" in out
    resolved = yaml.safe_load((tmp_path / "run" / "config.yaml").read_text())
    assert resolved["network"] == NETWORK
    assert (resolved["steps"], resolved["lr"]) == (3, 2e-4)
    assert load(tmp_path / "run" / "network.safetensors").scale == 2
    assert (tmp_path / "run" / "log.jsonl").read_text().count("\n") == 3
    assert 'id="training"' in (tmp_path / "run" / "report" / "index.html").read_text()


def test_the_resolved_config_repeats_the_run(data: Path, tmp_path: Path) -> None:
    train(data, tmp_path / "one")
    config = tmp_path / "one" / "config.yaml"
    run(split(["train", "--config", str(config), "--out", str(tmp_path / "two")]))
    one, two = (load(tmp_path / name / "network.safetensors").state_dict() for name in ("one", "two"))
    assert all(torch.equal(one[key], two[key]) for key in one)


def test_resume_goes_on(data: Path, tmp_path: Path) -> None:
    train(data, tmp_path / "run")
    train(data, tmp_path / "run", "--resume", steps=5)
    steps = [
        yaml.safe_load(line)["step"] for line in (tmp_path / "run" / "log.jsonl").read_text().splitlines()
    ]
    assert steps == [3, 5]


def test_the_resolved_config_is_enough_to_go_on_and_tells_the_end(data: Path, tmp_path: Path) -> None:
    train(data, tmp_path / "run")
    config = tmp_path / "run" / "config.yaml"
    run(split(["train", "--config", str(config), "--resume", "--steps", "5", "--log-every", "7"]))
    resolved = yaml.safe_load(config.read_text())
    assert (resolved["steps"], resolved["log_every"]) == (5, 7)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--lr", "1e-3"], r"config\.yaml: lr was 0\.0002 and is now 0\.001"),
        (["--degradation", "classic"], "degradation was 'bicubic' and is now 'classic'"),
        (["--teacher", NETWORK], "teacher was None and is now 'edsr"),
    ],
)
def test_going_on_otherwise_is_refused(data: Path, tmp_path: Path, words: list[str], message: str) -> None:
    train(data, tmp_path / "run")
    with pytest.raises(TrainingError, match=message):
        train(data, tmp_path / "run", "--resume", *words)


def test_options_of_losses_as_flags_and_in_a_file(data: Path, tmp_path: Path) -> None:
    file = tmp_path / "losses.yaml"
    file.write_text("loss_options:\n  charbonnier: {eps: 1e-2}\n")  # which YAML takes for text
    train(data, tmp_path / "a", "--losses", "charbonnier", "--loss-options.charbonnier.eps", "0.01")
    train(data, tmp_path / "b", "--losses", "charbonnier", "--config", str(file))
    train(data, tmp_path / "c", "--losses", "charbonnier")
    losses = [read_log(tmp_path / name / "log.jsonl")[-1].losses["charbonnier"] for name in "abc"]
    assert losses[0] == losses[1] != losses[2]


def test_the_size_and_place_of_the_cache_are_told(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (data / "broken.png").write_bytes(b"no image")
    with pytest.warns(SkippedImageWarning, match="broken"):
        train(data, tmp_path / "run")
    told = " ".join(capsys.readouterr().err.split())
    assert "3 images, 1 skipped: 0.0 MB of pixels in" in told
    assert str(tmp_path / "cache") in told


def test_a_teacher(data: Path, tmp_path: Path) -> None:
    train(data, tmp_path / "run", "--teacher", NETWORK, "--losses", "l1=1,teacher=0.5")
    assert '"teacher"' in (tmp_path / "run" / "log.jsonl").read_text()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--stepps", "3"], "--steps"),
        (["--accumulate", "0"], "greater than or equal to 1"),
        (["--schedule", "cosin"], "cosine"),
        (["--losses", "l3=1"], "no loss is called 'l3'"),
        (["--losses", "teacher=1"], "compare with a teacher"),
        (["--loss-options.charbonnier.eps", "1"], "'charbonnier', which is not among the losses"),
        (["--device", "cuda:99"], "no device 'cuda:99'"),
    ],
)
def test_mistakes(data: Path, tmp_path: Path, words: list[str], message: str) -> None:
    with pytest.raises(Exception, match=message):
        train(data, tmp_path / "run", *words)
    assert not (tmp_path / "run").exists()  # or the corrected command would find a run there


def test_an_unknown_key_in_the_file(data: Path, tmp_path: Path) -> None:
    file = tmp_path / "config.yaml"
    file.write_text("warmupp: 3\n")
    with pytest.raises(Exception, match=r"warmupp.*Did you mean --warmup"):
        train(data, tmp_path / "run", "--config", str(file))


def test_the_config_and_the_settings_agree() -> None:
    assert TrainConfig().settings() == TrainSettings()
    assert set(TrainSettings.__dataclass_fields__) == set(TrainConfig.model_fields) - {"degradation"}


@pytest.mark.filterwarnings("ignore::ResourceWarning")
@pytest.mark.parametrize("where", ["", "file://", "pipe:cat "])
def test_tar_files(data: Path, tmp_path: Path, where: str) -> None:
    pytest.importorskip("webdataset")
    with tarfile.open(tmp_path / "a.tar", "w") as tar:
        for file in sorted(data.iterdir()):
            tar.add(file, file.name)
    flags = ["--steps", "2", "--batch", "2", "--patch", "8", "--validation"]
    words = [
        "train",
        NETWORK,
        "--data",
        f"{where}{tmp_path / 'a.tar'}",
        "--out",
        str(tmp_path / "run"),
        *flags,
        str(data),
    ]
    run(split(words))
    assert '"images psnr"' in (tmp_path / "run" / "log.jsonl").read_text()


def test_degradations_are_taken(data: Path, tmp_path: Path) -> None:
    train(data, tmp_path / "plain")
    train(data, tmp_path / "worse", "--degradation", "second-order")
    plain, worse = ((tmp_path / name / "log.jsonl").read_text() for name in ("plain", "worse"))
    assert plain != worse


CONFIGS = Path(__file__).parents[2] / "configs"


@pytest.mark.parametrize(("name", "steps"), [("demo_edsr_x2", 17_000), ("edsr_x2", 300_000)])
def test_the_recipes_are_valid(data: Path, tmp_path: Path, name: str, steps: int) -> None:
    path, out = CONFIGS / f"{name}.yaml", tmp_path / "run"
    assert yaml.safe_load(path.read_text())["steps"] == steps
    small = ["--steps", "1", "--batch", "1", "--patch", "8", "--hold-out", "1", "--compile", "none"]
    run(split(["train", "--config", str(path), "--data", str(data), "--out", str(out), *small]))
    assert load(out / "network.safetensors").scale == 2


def test_training_in_a_used_folder_is_refused(data: Path, tmp_path: Path) -> None:
    train(data, tmp_path / "run")
    with pytest.raises(OutputError, match=r"holds a run already.* --resume to go on with it"):
        train(data, tmp_path / "run")


@pytest.mark.slow
def test_torchrun_on_two_workers(data: Path, tmp_path: Path) -> None:
    flags = [NETWORK, "--data", data, "--out", tmp_path / "run", *FLAGS.split(), "--resume"]
    for steps in (3, 5):  # the second goes on
        done = torchrun(*ESPALIER, "train", *flags, "--steps", steps)
        assert done.returncode == 0, done.stderr[-2000:]
        assert done.stdout.count(f"{steps} steps") == done.stderr.count("MB of pixels") == 1
    assert [point.step for point in read_log(tmp_path / "run" / "log.jsonl")] == [3, 5]
    assert load(tmp_path / "run" / "network.safetensors").scale == 2
