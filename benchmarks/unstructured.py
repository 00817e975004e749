"""Sparse networks beside the dense one trained as long: PSNR and SSIM on Set5, Set14 and BSD100.

python benchmarks/unstructured.py --preset small --seeds 0 1 2
Every cell (network, sparsity, way, seed) is written to benchmarks/results/unstructured.json as soon as it is measured;
cells already there are kept, so the command can be stopped and given again. `--table` writes docs/unstructured.md.
"""

import argparse
import copy
import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from unstructured_page import page
from unstructured_ways import PRESETS, SETS, WAYS, Preset, Way

from espalier import training
from espalier.allocation import Budget
from espalier.channels import Channels
from espalier.costs import latency
from espalier.data import PackedImages, pack
from espalier.evaluation.upscale import by_network
from espalier.files import write_text
from espalier.methods import job as jobs
from espalier.methods.job import Job, Phase
from espalier.methods.masking import Keeping
from espalier.methods.protocol import Idle, Method
from espalier.networks.file import save
from espalier.networks.load import load
from espalier.networks.network import Network
from espalier.recipes.inspect import trace
from espalier.recipes.measure import quality_of_images
from espalier.recipes.opening import opened
from espalier.sparsity import apply_, choose, size, sparsity, weights

RESULTS = Path(__file__).parent / "results" / "unstructured.json"
DOCS = Path(__file__).parents[1] / "docs" / "unstructured.md"
SPARSITIES = (0.3, 0.5, 0.7, 0.9, 0.95)


@dataclass(frozen=True)
class Bench:
    """What the cells of one preset share."""

    name: str
    preset: Preset
    network: Network
    channels: Channels
    images: PackedImages
    data: Path

    def train(self, seed: int, augment: bool) -> jobs.Train:
        def fit(network: Network, phase: Phase, method: Method) -> None:
            settings = training.TrainSettings(
                steps=phase.steps,
                batch=self.preset.batch,
                patch=self.preset.patch,
                augment=augment,
                losses=phase.losses,
                lr=phase.lr or self.preset.lr,
                schedule=phase.schedule,
                seed=seed,
            )
            teacher = self.network if phase.losses.get("teacher") else None
            training.fit(network, self.images, settings, method=method, teacher=teacher, progress=False)

        return fit

    def cell(self, way: Way, share: float, seed: int) -> Network:
        """One network, trained."""
        steps, fit = self.preset.steps, self.train(seed, self.preset.augment or way.augment)
        if not way.method:
            network = copy.deepcopy(self.network)
            if way.after:
                losses = {"l1": 1.0, "teacher": way.teacher}
                fit(network, Phase("dense", steps, losses, schedule="cosine"), Idle())
            return network
        given = dict(way.options) | ({"steps": steps} if way.trains else {})
        job = Job(
            network=self.network,
            channels=self.channels,
            cost=self.channels.cost,
            budget=Budget("sparsity", share),
            criterion="l2",
            allocation="global",
            round_to=1,
            protect=(),
            images=self.images,
            seed=seed,
            options=jobs.options(way.method, given),
            train=fit,
        )
        network = jobs.method(way.method)(job)
        if not way.trains and way.after:
            fit(network, Phase("after", steps, schedule="cosine"), Keeping(network.masks))
        return network


def bench(name: str, data: Path, work: Path, lr: float | None = None, take: int | None = None) -> Bench:
    """Images, and the dense network, trained first where it has no published weights."""
    preset = PRESETS[name]
    images = pack(data / "sets" / preset.images, preset.scale)
    images = images.take(range(preset.take or len(images)))
    if lr is not None or take is not None:
        made = bench(name, data, work)
        return replace(
            made,
            preset=replace(preset, lr=lr or preset.lr),
            images=images.take(range(take or len(images))),
            name=f"{name}, lr {lr or preset.lr:g}, {take or len(images)} images",
        )
    if not preset.pretrain:
        network = opened(data / "weights" / preset.reference, preset.scale)
        return Bench(name, preset, network, trace(network), images, data)
    path = work / f"{name}.safetensors"
    if not path.exists():
        torch.manual_seed(0)
        network = load(preset.reference)
        settings = training.TrainSettings(
            steps=preset.pretrain,
            batch=preset.batch,
            patch=preset.patch,
            lr=preset.pretrain_lr,
            augment=preset.augment,
        )
        training.fit(network, images, settings, run=work / name, resume=True, progress=False)
        save(network, path)
    network = opened(path)
    return Bench(name, preset, network, trace(network), images, data)


def measured(network: Network, data: Path, sets: Sequence[str]) -> dict[str, dict[str, float]]:
    upscaler = {"it": by_network(network)}
    packed = {name: pack(data / "sets" / name, network.scale) for name in sets}
    return {
        name: quality_of_images(upscaler, images)["it"].to_dict()["mean"] for name, images in packed.items()
    }


def row(made: Bench, way: str, share: float, seed: int, sets: Sequence[str]) -> dict[str, Any]:
    started = time.perf_counter()
    network = made.cell(WAYS[way], share, seed)
    seconds, weighed = time.perf_counter() - started, size(network)
    return {
        "network": made.name, "way": way, "sparsity": share, "seed": seed,
        "achieved": sparsity(network.masks), "nonzero": weighed.nonzero, "bytes": weighed.bytes,
        "bound": weighed.bound, "seconds": round(seconds, 1), "steps": made.preset.steps, "lr": made.preset.lr,
        "quality": measured(network, made.data, sets),
    }  # fmt: skip


def speed(network: Network) -> dict[str, Any]:
    """Milliseconds of the network as it is and with nine of ten weights zero, in turn on the same machine."""
    pruned = copy.deepcopy(network)
    pruned.masks = choose({name: w.detach().abs() for name, w in weights(network).items()}, 0.9)
    apply_(pruned, pruned.masks)
    times = latency.measure({"dense": network, "zeros": pruned}, (180, 320), seconds=10.0)
    return {"size": [180, 320], "sparsity": 0.9} | {name: time.to_dict() for name, time in times.items()}


def content() -> dict[str, Any]:
    return json.loads(RESULTS.read_text(encoding="utf-8")) if RESULTS.exists() else {"rows": []}


def rows() -> list[dict[str, Any]]:
    return content()["rows"]


def store(found: Mapping[str, Any]) -> None:
    from espalier.recipes.run import environment

    whole = content() | {"environment": environment()} | dict(found)
    write_text(RESULTS, json.dumps(whole, indent=1) + "\n")


def write(found: dict[str, Any]) -> None:
    psnr = {name: round(mean["psnr"], 3) for name, mean in found["quality"].items()}
    print(found["way"], found["sparsity"], found["seed"], psnr, found["seconds"], flush=True)
    store({"rows": [*rows(), found]})


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
    parser.add_argument("--lr", type=float, help="instead of the preset's; such rows are kept apart")
    parser.add_argument(
        "--take", type=int, help="train on the first so many images; such rows are kept apart"
    )
    parser.add_argument("--sets", nargs="+", default=list(SETS), choices=SETS)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--table", action="store_true", help="write docs/unstructured.md and nothing else")
    parser.add_argument("--speed", action="store_true", help="only time zeros beside dense weights")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    if options.table:
        write_text(DOCS, page(content()))
        return
    made = bench(options.preset, options.data, options.work, options.lr, options.take)
    if options.speed:
        store({"speed": speed(made.network)})
        return
    wanted = [
        (way, share if WAYS[way].method else 0.0, seed)
        for seed in options.seeds
        for share in options.sparsities
        for way in options.ways
    ]
    for way, share, seed in wanted:
        if (made.name, way, share, seed) not in {key(found) for found in rows()}:
            write(row(made, way, share, seed, options.sets))


if __name__ == "__main__":
    main()
