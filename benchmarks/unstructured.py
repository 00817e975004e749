"""Sparse networks beside the dense one trained as long: PSNR and SSIM on Set5, Set14 and BSD100.

python benchmarks/unstructured.py --preset small --seeds 0 1 2
Every cell (network, sparsity, way, seed) is written to benchmarks/results/unstructured.json as soon as it is measured;
cells already there are kept, so the command can be stopped and given again. `--table` writes docs/unstructured.md.
"""

import argparse
import copy
import json
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch

from espalier import training
from espalier.allocation import Budget
from espalier.channels import Channels
from espalier.data import PackedImages, pack
from espalier.evaluation import evaluate
from espalier.files import write_text
from espalier.methods import job as jobs
from espalier.methods.job import Job, Phase
from espalier.methods.masking import Keeping
from espalier.methods.protocol import Idle, Method
from espalier.networks.file import save
from espalier.networks.load import load
from espalier.networks.network import Network
from espalier.recipes.inspect import trace
from espalier.recipes.opening import opened
from espalier.sparsity import size, sparsity

RESULTS = Path(__file__).parent / "results" / "unstructured.json"
SETS = ("Set5", "Set14", "BSD100")
SPARSITIES = (0.3, 0.5, 0.7, 0.9, 0.95)


@dataclass(frozen=True)
class Preset:
    """One network and how long everything is trained on it."""

    reference: str
    scale: int
    steps: int
    lr: float
    batch: int
    patch: int
    images: str = "T91"
    pretrain: int = 0
    """Steps at which the dense network is trained from scratch first; 0 for published weights."""
    pretrain_lr: float = 1e-3


PRESETS = {
    "small": Preset("edsr(scale=2, blocks=3, channels=24)", 2, 600, 5e-4, 8, 24, pretrain=8000),
    "rnet": Preset("RNet-EDSRlike/rnet_x4.pth", 4, 20_000, 1e-4, 16, 48, "BSDS500/train"),
    "imdn": Preset("IMDN/IMDN_x2.pth", 2, 20_000, 1e-4, 16, 48, "BSDS500/train"),
    "swinir": Preset(
        "spandrel.SwinIR(embed_dim=60, depths=[6, 6, 6, 6], num_heads=[6, 6, 6, 6], window_size=8, mlp_ratio=2, "
        "upscale=2, upsampler='pixelshuffledirect')",
        2, 50_000, 2e-4, 16, 64, "BSDS500/train", pretrain=200_000, pretrain_lr=2e-4,
    ),
}  # fmt: skip


@dataclass(frozen=True)
class Way:
    """How a sparse network is come by; `steps` of its own options are the preset's."""

    method: str = ""
    options: Mapping[str, Any] = field(default_factory=dict)
    trains: bool = True
    """Whether the method trains itself; otherwise it is trained under its masks afterwards."""
    after: bool = True


WAYS = {
    "dense": Way(),
    "one-shot": Way("sparse"),
    "one-shot, LAMP": Way("sparse", {"spread": "lamp"}),
    "gradual": Way("sparse", {"schedule": "gradual"}),
    "gradual, LAMP": Way("sparse", {"schedule": "gradual", "spread": "lamp"}),
    "hard": Way("dynamic", {"rule": "hard"}),
    "shrink": Way("dynamic", {"rule": "shrink"}),
    "surgery": Way("dynamic", {"rule": "surgery"}),
    "regrow": Way("dynamic", {"rule": "regrow"}),
    "balanced (ours)": Way("dynamic", {"rule": "balanced"}),
    "obs": Way("obs", trains=False),
    "obs, untrained": Way("obs", trains=False, after=False),
}
"""The dense network has one cell per seed; it is trained as long as the others."""


@dataclass(frozen=True)
class Bench:
    """What the cells of one preset share."""

    name: str
    preset: Preset
    network: Network
    channels: Channels
    images: PackedImages
    data: Path

    def train(self, seed: int) -> jobs.Train:
        def fit(network: Network, phase: Phase, method: Method) -> None:
            settings = training.TrainSettings(
                steps=phase.steps,
                batch=self.preset.batch,
                patch=self.preset.patch,
                losses=phase.losses,
                lr=phase.lr or self.preset.lr,
                schedule=phase.schedule,
                seed=seed,
            )
            training.fit(network, self.images, settings, method=method, progress=False)

        return fit

    def cell(self, way: Way, share: float, seed: int) -> Network:
        """One network, trained."""
        steps, fit = self.preset.steps, self.train(seed)
        if not way.method:
            network = copy.deepcopy(self.network)
            fit(network, Phase("dense", steps, schedule="cosine"), Idle())
            return network
        given = dict(way.options) | ({"steps": steps} if way.trains else {})
        cost = self.channels.cost
        network = jobs.method(way.method)(
            Job(
                self.network,
                self.channels,
                cost,
                Budget("sparsity", share),
                "l2",
                "global",
                1,
                (),
                self.images,
                seed,
                jobs.options(way.method, given),
                fit,
            )
        )
        if not way.trains and way.after:
            fit(network, Phase("after", steps, schedule="cosine"), Keeping(network.masks))
        return network


def bench(name: str, data: Path, work: Path) -> Bench:
    """Images, and the dense network, trained first where it has no published weights."""
    preset = PRESETS[name]
    images = pack(data / "sets" / preset.images, preset.scale)
    if not preset.pretrain:
        network = opened(data / "weights" / preset.reference, preset.scale)
        return Bench(name, preset, network, trace(network), images, data)
    path = work / f"{name}.safetensors"
    if not path.exists():
        torch.manual_seed(0)
        network = load(preset.reference)
        settings = training.TrainSettings(
            steps=preset.pretrain, batch=preset.batch, patch=preset.patch, lr=preset.pretrain_lr
        )
        training.fit(network, images, settings, run=work / name, resume=True, progress=False)
        save(network, path)
    network = opened(path)
    return Bench(name, preset, network, trace(network), images, data)


def measured(network: Network, data: Path, sets: tuple[str, ...]) -> dict[str, dict[str, float]]:
    return {name: evaluate(network, data / "sets" / name).to_dict()["mean"] for name in sets}


def row(made: Bench, way: str, share: float, seed: int) -> dict[str, Any]:
    started = time.perf_counter()
    network = made.cell(WAYS[way], share, seed)
    seconds, weighed = time.perf_counter() - started, size(network)
    return {
        "network": made.name, "way": way, "sparsity": share, "seed": seed,
        "achieved": sparsity(network.masks), "nonzero": weighed.nonzero, "bytes": weighed.bytes,
        "bound": weighed.bound, "seconds": round(seconds, 1), "steps": made.preset.steps, "lr": made.preset.lr,
        "quality": measured(network, made.data, SETS),
    }  # fmt: skip


def rows() -> list[dict[str, Any]]:
    return json.loads(RESULTS.read_text(encoding="utf-8"))["rows"] if RESULTS.exists() else []


def write(found: dict[str, Any]) -> None:
    from espalier.recipes.run import environment

    psnr = {name: round(mean["psnr"], 3) for name, mean in found["quality"].items()}
    print(found["way"], found["sparsity"], found["seed"], psnr, found["seconds"], flush=True)
    content = {"environment": environment(), "rows": [*rows(), found]}
    write_text(RESULTS, json.dumps(content, indent=1) + "\n")


def key(found: Mapping[str, Any]) -> tuple:
    return found["network"], found["way"], found["sparsity"], found["seed"]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=Path(__file__).parents[2] / "shared" / "data")
    parser.add_argument("--work", type=Path, default=Path("runs/unstructured"))
    parser.add_argument("--preset", default="small", choices=PRESETS)
    parser.add_argument("--sparsities", nargs="+", type=float, default=list(SPARSITIES))
    parser.add_argument("--ways", nargs="+", default=list(WAYS), choices=WAYS)
    parser.add_argument("--seeds", nargs="+", type=int, default=[0])
    parser.add_argument("--threads", type=int, default=1)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    made = bench(options.preset, options.data, options.work)
    for seed in options.seeds:
        for way in options.ways:
            for share in options.sparsities if WAYS[way].method else [0.0]:
                if (options.preset, way, share, seed) not in {key(found) for found in rows()}:
                    write(row(made, way, share, seed))


if __name__ == "__main__":
    main()
