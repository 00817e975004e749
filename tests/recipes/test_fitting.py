"""A method that learns, through the same command as every other."""

import copy
import json
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import torch
from pydantic import BaseModel, ConfigDict
from torch import Tensor, nn

from espalier import allocation
from espalier.methods import job
from espalier.methods.job import Job, Phase, cut
from espalier.methods.protocol import Idle
from espalier.networks.file import save
from espalier.networks.load import load
from espalier.networks.network import Network
from espalier.plan import PrunePlan
from espalier.recipes import fitting
from espalier.recipes.compress import CompressSettings, compress
from espalier.training import Interrupted
from tests.recipes.conftest import TINY


class Options(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    steps: int = 4
    stop_at: int = -1


class Shrinking(Idle):
    """Stops with Ctrl-C at a step where it is told to."""

    def __init__(self, stop_at: int) -> None:
        self.stop_at = stop_at

    def before_step(self, step: int) -> None:
        if step == self.stop_at:
            signal.raise_signal(signal.SIGINT)


def prune(asked: Job) -> Network:
    """Trains the dense network twice, then cuts by size."""
    network = copy.deepcopy(asked.network)
    for name, stop in (("first", -1), ("second", asked.options.stop_at)):
        asked.train(network, Phase(name, asked.options.steps, {"l1": 1.0, "teacher": 0.5}), Shrinking(stop))
    assert 5 < asked.score(network) < 60
    scores = {group.name: np.arange(group.channels) for group in asked.channels.prunable}
    kept = allocation.allocate(asked.channels, scores, asked.budget, by="uniform", cost=asked.cost)
    return cut(network, asked.channels.plan(kept))


@pytest.fixture(autouse=True)
def method(monkeypatch: pytest.MonkeyPatch) -> None:
    module = ModuleType("espalier.methods.learning")
    module.prune, module.OPTIONS = prune, Options  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "espalier.methods.learning", module)
    known = job.methods()
    monkeypatch.setattr(job, "methods", lambda: [*known, "learning"])


def settings(**changed: object) -> CompressSettings:
    small = {"recover": 0, "batch": 2, "patch": 12, "timing": False, "device": "cpu"}
    return CompressSettings.model_validate(small | {"method": "learning", "optimizer": "adam"} | changed)


def test_phases_leave_their_logs_and_the_result_is_cut_once(photos: Path, tmp_path: Path) -> None:
    out = compress(TINY, photos, tmp_path / "run", settings(options={"steps": "3"}))
    assert sorted(p.name for p in (out / "phases").iterdir()) == ["first", "second"]
    assert '"step": 3' in (out / "phases/second/log.jsonl").read_text().splitlines()[-1]
    assert not list(out.rglob("checkpoints"))
    assert len(load(out / "network.safetensors").plans) == 1
    assert PrunePlan.from_json((out / "plan.json").read_text()).notes["method"] == "learning"


def recovered(out: Path) -> tuple[float, list[float], float]:
    """PSNR before recovery, of every validation on the way, and in the end."""
    rows = json.loads((out / "metrics.json").read_text())["rows"]
    points = map(json.loads, (out / "log.jsonl").read_text().splitlines())
    seen = [point["scores"]["psnr"] for point in points if "psnr" in point["scores"]]
    return rows["pruned"]["mean"]["psnr"], seen, rows["recovered"]["mean"]["psnr"]


def test_recovery_that_only_does_harm_is_taken_back(photos: Path, tmp_path: Path, capfd: Any) -> None:
    # one step that blows every weight up, whatever the network began with
    harmful = {"method": "calibrated", "options": {"polish": "0"}, "recover": 1, "lr": 5.0}
    out = compress(TINY, photos, tmp_path / "run", settings(**harmful))
    before, seen, after = recovered(out)
    assert max(seen) < before
    assert after == before
    assert "did harm at every step" in " ".join(capfd.readouterr().err.split())


def test_recovery_ends_as_the_best_that_was_seen(
    photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    scores = iter([1.0, 3.0, 2.0, 2.0, 2.0, 2.0])  # the first is of what recovery begins with
    weights: list[dict[str, Tensor]] = []

    def validation(_: object) -> Callable[[nn.Module], dict[str, float]]:
        def psnr(network: nn.Module) -> dict[str, float]:
            weights.append({k: v.clone() for k, v in network.state_dict().items()})
            return {"psnr": next(scores)}

        return psnr

    monkeypatch.setattr(fitting, "watched_on", validation)
    out = compress(TINY, photos, tmp_path / "run", settings(method="magnitude", recover=5))
    kept = load(out / "network.safetensors").state_dict()
    assert len(weights) == 6
    assert all(torch.equal(kept[name], value) for name, value in weights[1].items())
    assert not all(torch.equal(kept[name], value) for name, value in weights[5].items())


def test_an_interrupted_phase_is_gone_on_with(photos: Path, tmp_path: Path) -> None:
    dense = tmp_path / "dense.safetensors"
    save(load(TINY), dense)
    whole = compress(str(dense), photos, tmp_path / "whole", settings())
    with pytest.raises(Interrupted):
        compress(str(dense), photos, tmp_path / "run", settings(options={"stop_at": 1}))
    again = compress(str(dense), photos, tmp_path / "run", settings(resume=True))
    one, two = (load(out / "network.safetensors").state_dict() for out in (whole, again))
    assert all(torch.equal(one[name], two[name]) for name in one)
