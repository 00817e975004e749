"""A small run folder with everything in it."""

import json
import math
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from espalier.plan import Choice, PrunePlan

SIDE = 48


def write_run(path: Path, *, macs: float = 50e9, psnr: float = 31.63) -> Path:
    (path / "crops").mkdir(parents=True)
    (path / "config.yaml").write_text("command: compress\nnetwork: weights/rnet_x4.pth\nbudget: macs=0.5\n")
    (path / "environment.json").write_text(json.dumps({"device": "cpu", "torch": "2.13.0"}))
    (path / "cost.json").write_text(json.dumps(_cost(macs)))
    (path / "metrics.json").write_text(json.dumps(_metrics(psnr)))
    (path / "plan.json").write_text(_plan().to_json())
    (path / "log.jsonl").write_text("".join(json.dumps(_record(s)) + "\n" for s in range(10, 510, 10)))
    (path / "crops" / "crops.json").write_text(json.dumps([_crop(path / "crops", k) for k in range(3)]))
    return path


def _cost(macs: float) -> dict:
    dense = {"params": 962459, "macs": 100e9, "activations": 3e8, "convs": 23, "ms": 800.0, "memory": 2**28}
    pruned = {"params": 480000, "macs": macs, "activations": 2e8, "convs": 23, "ms": 400.0, "memory": 2**27}
    return {"input_size": [180, 320], "latency_size": [180, 320], "rows": {"dense": dense, "pruned": pruned}}


def _metrics(psnr: float) -> dict:
    means = {"bicubic": 28.42, "dense": 31.87, "pruned": 25.31, "recovered": psnr}
    rows = {
        version: {
            "mean": {"psnr": mean, "ssim": 0.89},
            "images": [{"name": "bird", "psnr": mean, "ssim": 0.89}],
        }
        for version, mean in means.items()
    }
    return {"network": "rnet", "set": "Set5", "scale": 4, "y": True, "rows": rows}


def _plan() -> PrunePlan:
    choices = (
        Choice("blocks.0.conv1", 8, (0, 1, 4)),
        Choice("blocks.1.conv1", 8, (2, 3, 4, 5)),
        Choice("trunk", 8, tuple(range(8))),
    )
    return PrunePlan(cuts=(), choices=choices, notes={"method": "magnitude", "achieved": 0.5})


def _record(step: int) -> dict:
    scores = {"psnr": 31.6 - 5 * math.exp(-step / 100)} if step % 100 == 0 else {}
    losses = {"total": math.exp(-step / 120), "l1": math.exp(-step / 120)}
    return {
        "step": step,
        "lr": 2e-4 * (1 - step / 500),
        "losses": losses,
        "scores": scores,
        "facts": {},
        "rate": 2.5,
    }


def _crop(folder: Path, index: int) -> dict:
    random = np.random.default_rng(index)
    truth = random.integers(40, 215, (SIDE, SIDE, 3))
    names, psnr = {}, {}
    for version, noise in (
        ("bicubic", 40),
        ("dense", 10),
        ("pruned", 30),
        ("recovered", 15),
        ("original", 0),
    ):
        picture = truth + random.integers(-noise, noise + 1, truth.shape)
        names[version] = f"{index}-{version}.png"
        Image.fromarray(picture.astype(np.uint8)).save(folder / names[version])
        if noise:
            psnr[version] = 40.0 - noise / 2
    box = [index, index, index + SIDE, index + SIDE]
    return {"image": f"bird {index}", "reason": "typical", "box": box, "files": names, "psnr": psnr}


@pytest.fixture
def run_folder(tmp_path: Path) -> Path:
    return write_run(tmp_path / "halved")
