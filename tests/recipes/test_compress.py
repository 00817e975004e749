import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch
import yaml

from espalier import cli, training
from espalier.errors import EspalierError, OutputError, PlanError
from espalier.networks.load import load
from espalier.plan import PrunePlan
from espalier.recipes.compress import CompressSettings, compress
from tests.recipes.conftest import TINY, interrupted, write_photos

FILES = (
    "config.yaml", "environment.json", "plan.json", "cost.json", "metrics.json", "log.jsonl",
    "network.safetensors", "report.md", "report/index.html", "crops/crops.json",
)  # fmt: skip


def compressed(photos: Path, out: Path, network: str = TINY, **changed: object) -> Path:
    fast = {"recover": 2, "batch": 2, "patch": 12, "timing": False, "device": "cpu"}
    return compress(network, photos, out, CompressSettings.model_validate(fast | changed))


@pytest.fixture
def finished(photos: Path, tmp_path: Path) -> Path:
    return compressed(photos, tmp_path / "run")


def test_the_run_folder_holds_everything(finished: Path) -> None:
    assert [name for name in FILES if not (finished / name).is_file()] == []
    assert not (finished / "checkpoints").exists()
    metrics = json.loads((finished / "metrics.json").read_text())
    assert list(metrics["rows"]) == ["bicubic", "dense", "pruned", "recovered"]
    assert metrics["set"] == "images held out of photos"
    assert len(metrics["rows"]["dense"]["images"]) == 1
    assert json.loads((finished / "log.jsonl").read_text().splitlines()[-1])["step"] == 2


def test_the_budget_is_met_and_told(finished: Path) -> None:
    rows = json.loads((finished / "cost.json").read_text())["rows"]
    share = rows["pruned"]["macs"] / rows["dense"]["macs"]
    assert 0.3 < share <= 0.5
    notes = PrunePlan.from_json((finished / "plan.json").read_text()).notes
    assert notes["macs"] == pytest.approx(share)
    assert (notes["method"], notes["criterion"], notes["budget"]) == ("calibrated", "l2", "macs=0.5")


def test_the_saved_network_is_rebuilt_elsewhere_with_equal_outputs(finished: Path) -> None:
    path, image = finished / "network.safetensors", torch.rand(1, 3, 16, 20)
    with torch.no_grad():
        here = load(path).eval()(image)
    torch.save(image, finished / "image.pt")
    code = (
        "import torch, sys; from espalier.networks.load import load; torch.set_num_threads(1);"
        "x = torch.load(sys.argv[1] + '/image.pt'); n = load(sys.argv[1] + '/network.safetensors').eval();"
        "torch.save(n(x).detach(), sys.argv[1] + '/there.pt')"
    )
    subprocess.run([sys.executable, "-c", code, str(finished)], check=True)
    assert torch.equal(here, torch.load(finished / "there.pt"))


def test_recovery_changed_the_pruned_network(photos: Path, tmp_path: Path) -> None:
    out = compressed(photos, tmp_path / "run", method="magnitude", recover=12)  # soap only looks on at first
    rows = json.loads((out / "metrics.json").read_text())["rows"]
    assert rows["recovered"]["mean"]["psnr"] != rows["pruned"]["mean"]["psnr"]


def test_the_same_seed_gives_the_same_network(photos: Path, tmp_path: Path) -> None:
    outs = [compressed(photos, tmp_path / name, tiny_file(tmp_path)) for name in ("a", "b")]
    states = [load(out / "network.safetensors").state_dict() for out in outs]
    assert all(torch.equal(states[0][name], states[1][name]) for name in states[0])


def tiny_file(folder: Path) -> str:
    """The tiny network in a file: a constructor draws new weights each time."""
    from espalier.networks.file import save

    path = folder / "tiny.safetensors"
    if not path.exists():
        save(load(TINY), path)
    return str(path)


def test_recovery_by_soap_has_its_own_rate(photos: Path, tmp_path: Path) -> None:
    network = tiny_file(tmp_path)
    one, other = (
        compressed(photos, tmp_path / name, network, method="magnitude", optimizer="soap", recover=12, lr=lr)
        for name, lr in (("default", None), ("given", 4e-3))
    )
    states = [load(out / "network.safetensors").state_dict() for out in (one, other)]
    assert all(torch.equal(states[0][name], states[1][name]) for name in states[0])
    assert json.loads((one / "log.jsonl").read_text().splitlines()[0])["lr"] == pytest.approx(4e-3, rel=0.1)
    rows = json.loads((one / "metrics.json").read_text())["rows"]
    assert rows["recovered"]["mean"]["psnr"] > rows["pruned"]["mean"]["psnr"]


def test_without_recovery_there_is_no_recovered_row(photos: Path, tmp_path: Path) -> None:
    out = compressed(photos, tmp_path / "run", recover=0)
    assert "recovered" not in json.loads((out / "metrics.json").read_text())["rows"]
    assert not (out / "log.jsonl").exists()


def test_a_named_test_set_is_used(photos: Path, tmp_path: Path) -> None:
    other = write_photos(tmp_path / "other", 2)
    out = compressed(photos, tmp_path / "run", recover=0, test=other)
    metrics = json.loads((out / "metrics.json").read_text())
    assert metrics["set"] == "other"
    assert len(metrics["rows"]["pruned"]["images"]) == 2


def test_the_written_config_does_the_same_again(finished: Path, tmp_path: Path) -> None:
    config = yaml.safe_load((finished / "config.yaml").read_text())
    assert config["network"] == TINY
    again = tmp_path / "again"
    tokens = ["compress", "--config", str(finished / "config.yaml"), "--out", str(again)]
    cli.run(cli.split(tokens))
    assert yaml.safe_load((again / "config.yaml").read_text()) == config


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"budget": "macs=0"}, "out of range"),
        ({"budget": "macs=2"}, "out of range"),
        ({"budget": "half"}, "cannot read the budget"),
        ({"method": "magnitud"}, "did you mean 'magnitude'"),
        ({"criterion": "l3"}, "no criterion 'l3'"),
        ({"allocation": "fair"}, "no allocation 'fair'"),
        ({"budget": "macs=0.0001"}, "cannot be met"),
        ({"protect": ("*",)}, "no channel group"),
        ({"test": "/nowhere"}, "no such folder"),
        ({"scale": 3}, "x"),
    ],
)
def test_wrong_wishes_are_refused(photos: Path, tmp_path: Path, changed: dict, words: str) -> None:
    with pytest.raises(EspalierError, match=words):
        compressed(photos, tmp_path / "run", **changed)


def test_protected_layers_stay_whole(photos: Path, tmp_path: Path) -> None:
    out = compressed(photos, tmp_path / "run", recover=0, protect=("body.0.*",))
    dense, pruned = load(TINY).body.state_dict(), load(out / "network.safetensors").body.state_dict()
    changed = {name for name in dense if dense[name].shape != pruned[name].shape}
    assert changed
    assert not any(name.startswith("body.0.") for name in changed)


def test_an_earlier_run_is_not_overwritten(finished: Path, photos: Path) -> None:
    with pytest.raises(OutputError, match="--overwrite"):
        compressed(photos, finished)


def test_a_full_disk_is_one_message_and_leaves_nothing_half_written(
    photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("espalier.networks.file.save_file", full)
    out = tmp_path / "run"
    with pytest.raises(OutputError, match="No space left"):
        compressed(photos, out, recover=0)
    assert not (out / "network.safetensors").exists()
    assert not list(out.rglob("*.part"))


def test_a_corrupt_image_among_good_ones_is_named_and_left_out(photos: Path, tmp_path: Path) -> None:
    (photos / "broken.png").write_bytes(b"not an image")
    with pytest.warns(UserWarning, match=r"broken\.png"):
        compressed(photos, tmp_path / "run", recover=0)


def test_a_budget_nobody_can_meet_says_what_is_possible(photos: Path, tmp_path: Path) -> None:
    with pytest.raises(PlanError, match=r"allow 0\.\d+"):
        compressed(photos, tmp_path / "run", budget="macs=0.001")


def test_an_interrupted_recovery_goes_on_to_the_same_network(
    photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    network = tiny_file(tmp_path)
    whole = compressed(photos, tmp_path / "whole", network, recover=12)

    with interrupted(monkeypatch), pytest.raises(training.Interrupted, match="--resume"):
        compressed(photos, tmp_path / "parts", network, recover=12)
    parts = compressed(photos, tmp_path / "parts", network, recover=12, resume=True)
    states = [load(out / "network.safetensors").state_dict() for out in (whole, parts)]
    assert all(torch.equal(states[0][name], states[1][name]) for name in states[0])


def test_a_compressed_network_can_be_compressed_again(finished: Path, photos: Path, tmp_path: Path) -> None:
    again = compressed(photos, tmp_path / "again", str(finished / "network.safetensors"), recover=0)
    network = load(again / "network.safetensors")
    assert len(network.plans) == 2
    shares = json.loads((again / "cost.json").read_text())["rows"]
    assert shares["pruned"]["macs"] <= 0.5 * shares["dense"]["macs"]
