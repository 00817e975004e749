import json
import math
import os
from pathlib import Path

import pytest
import yaml

from espalier.errors import OutputError
from espalier.recipes import run


def test_a_run_begins_with_its_settings_and_environment(tmp_path: Path) -> None:
    path = run.begin(tmp_path / "new" / "run", {"command": "compress", "budget": "macs=0.5"})
    assert yaml.safe_load((path / "config.yaml").read_text()) == {"command": "compress", "budget": "macs=0.5"}
    facts = json.loads((path / "environment.json").read_text())
    assert {"date", "espalier", "python", "torch", "device", "cores", "threads"} <= set(facts)


def test_the_environment_says_nothing_about_the_person() -> None:
    told = json.dumps(run.environment())
    assert str(Path.home()) not in told
    assert os.uname().nodename not in told


def test_an_earlier_run_is_kept_unless_asked(tmp_path: Path) -> None:
    run.begin(tmp_path, {"seed": 1})
    with pytest.raises(OutputError, match="--overwrite"):
        run.begin(tmp_path, {"seed": 2})
    assert "seed: 1" in (tmp_path / "config.yaml").read_text()


def test_overwriting_removes_what_a_run_wrote_and_nothing_else(tmp_path: Path) -> None:
    run.begin(tmp_path, {})
    for name in ("log.jsonl", "plan.json", "checkpoints/1.ckpt", "crops/crops.json", "notes.txt"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("x")
    run.begin(tmp_path, {}, overwrite=True)
    left = {p.relative_to(tmp_path).as_posix() for p in tmp_path.rglob("*") if p.is_file()}
    assert left == {"config.yaml", "environment.json", "notes.txt"}


def test_another_folder_is_never_written_into(tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").write_text("x")
    with pytest.raises(OutputError, match="is no run folder"):
        run.begin(tmp_path, {}, overwrite=True)


def test_a_place_that_cannot_be_written_is_one_message(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    with pytest.raises(OutputError, match="cannot write"):
        run.begin(tmp_path / "file" / "run", {})


def test_numbers_that_json_lacks_become_null(tmp_path: Path) -> None:
    run.write_json(tmp_path / "a.json", {"psnr": math.inf, "list": [1.5, math.nan, (2,)], 3: "x"})
    assert json.loads((tmp_path / "a.json").read_text()) == {"psnr": None, "list": [1.5, None, [2]], "3": "x"}


def test_a_run_without_a_name_gets_a_new_folder(tmp_path: Path) -> None:
    assert run.stem("../weights/RNet-EDSRlike/rnet_x4.pth") == "rnet_x4"
    assert run.stem("edsr(scale=2, blocks=2)") == "edsr"
    assert run.stem("mine.nets:small") == "mine"
    first = run.fresh("edsr-magnitude-macs0.5", tmp_path)
    assert first == tmp_path / "edsr-magnitude-macs0.5"
    first.mkdir()
    assert run.fresh("edsr-magnitude-macs0.5", tmp_path).name == "edsr-magnitude-macs0.5-2"
