"""Structured methods at equal cost: python benchmarks/structured.py small [--cells 4] [--tables]

One network, one method, one share of channels, one seed make a cell; every cell has the same number of training steps
in all, on the same images at the same learning rate, and the MACs of the network whose every layer lost that share.
Finished cells are kept in results/structured.json and not run again; --cells ends after so many.
--tables writes docs/structured.md.
"""

import argparse
import copy
import itertools
import json
import shutil
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import kept
import torch
from structured_tables import write_tables
from thesis_ways import PATCHES, POLISHING
from torch import nn

from espalier import allocation, importance, training
from espalier.allocation import Budget
from espalier.costs import count
from espalier.data import PackedImages, pack
from espalier.methods.job import Job, Phase, cut, default_allocation, method, options
from espalier.methods.protocol import Idle
from espalier.networks.load import load
from espalier.networks.network import Network
from espalier.networks.prepare import prepare
from espalier.recipes.fitting import Fitting
from espalier.recipes.inspect import trace
from espalier.training.device import pick

ROOT = Path(__file__).parent.parent
RESULTS = "structured.json"
METHODS = (
    "scratch",
    "l1",
    "srp",
    "assl",
    "gassl",
    "calibrated",
    "calibrated-polished",
    "guided",
    "guided-polished",
)
SPENT = {"select": 1, "steps": 1, **POLISHING}
"""Options that are numbers of steps, and how many training steps one of them counts as."""
POLISH = 0.2
"""Share of the steps of a polished network that are polishing."""


@dataclass(frozen=True)
class Preset:
    """What a cell trains, and for how long."""

    network: str
    scale: int
    steps: int
    """In all, the method's own included."""
    learning: float
    """Share of the steps in which methods that learn do so."""
    batch: int
    patch: int
    lr: float
    train: tuple[str, ...]
    sets: tuple[str, ...]
    ratios: tuple[float, ...]
    methods: tuple[str, ...] = METHODS
    last_from: float = 0.0
    """Share of channels from which the last of the sets is measured on, too."""


SMALL = Preset(
    network=str(ROOT / "src/espalier/demo/edsr_x2.safetensors"), scale=2, steps=600, learning=0.5, batch=4, patch=24,
    lr=5e-4, train=("T91",), sets=("Set5", "Set14", "BSD100"), ratios=(0.7, 0.9, 0.5, 0.3, 0.1), last_from=0.5,
)  # fmt: skip
PRESETS = {
    "small": SMALL,
    "removal": replace(
        SMALL, network="weights/RNet-EDSRlike/rnet_x4.pth", scale=4, steps=150, learning=1.0, batch=4,
        patch=16, sets=("Set5",), ratios=(0.5,), methods=("assl", "gassl"),
    ),
    "full": Preset(
        network="runs/edsr_baseline_x2/network.safetensors", scale=2, steps=100_000, learning=0.5, batch=16, patch=48,
        lr=2e-4, train=("BSDS500/train", "BSDS500/test", "T91"), sets=("Set5", "Set14", "BSD100"),
        ratios=(0.7, 0.9, 0.5, 0.3, 0.1),
    ),
}  # fmt: skip


@dataclass(frozen=True)
class Bench:
    """What all cells of a preset share."""

    name: str
    preset: Preset
    dense: Network
    images: PackedImages
    sets: dict[str, PackedImages]

    def job(self, way: str, ratio: float, seed: int, fitting: Fitting) -> Job:
        channels, cost = trace(self.dense), count(self.dense)
        model = channels.cost.at_size({layer.name: layer.macs for layer in cost.layers})
        folder = "magnitude" if way in ("l1", "scratch") else way.removesuffix("-polished")
        plain = Job(
            self.dense, channels, model, Budget("ratio", ratio), "l1", "uniform", 1, (), self.images, seed,
            train=fitting, score=fitting.score,
        )  # fmt: skip
        macs = count(by_size(plain)).macs
        return replace(
            plain, budget=Budget("macs", float(macs)),
            allocation=default_allocation(folder) if folder != "magnitude" else "uniform",
            options=options(folder, self.told(way)),
        )  # fmt: skip

    def sets_at(self, ratio: float) -> dict[str, PackedImages]:
        """Where a network that lost this share of its channels is measured; large networks take long."""
        shown = len(self.sets) - (ratio < self.preset.last_from)
        return dict(itertools.islice(self.sets.items(), shown))

    def told(self, way: str) -> dict[str, Any]:
        """Options: how the learning steps are spent."""
        steps = round(self.preset.steps * self.preset.learning)
        return {
            "srp": {"steps": steps},
            "assl": {"steps": steps},
            "gassl": {"select": steps // 3, "steps": steps},
            "calibrated": {"polish": 0},
            "calibrated-polished": {"polish": round(self.preset.steps * POLISH) * PATCHES},
            "guided": {"steps": steps // 3},
            "guided-polished": {"steps": steps // 3, "optimizer": "soap", "polish": steps // 5 * PATCHES},
        }.get(way, {})

    def learned(self, way: str) -> int:
        """Training steps before recovery."""
        return round(sum(value * SPENT[name] for name, value in self.told(way).items() if name in SPENT))


def by_size(job: Job) -> Network:
    """One-shot by the L1 norm."""
    scores = importance.scores("l1", job.network.body, job.channels.prunable)
    chosen = allocation.allocate(job.channels, scores, job.budget, by="uniform", cost=job.cost)
    return cut(job.network, job.channels.plan(chosen))


def untrained(network: Network, seed: int) -> Network:
    """The same widths with fresh weights."""
    torch.manual_seed(seed)
    for module in network.modules():
        if isinstance(module, nn.Conv2d):
            module.reset_parameters()
    return network


def cell(bench: Bench, way: str, ratio: float, seed: int) -> dict:
    preset, clock = bench.preset, time.process_time()
    run = Path(tempfile.mkdtemp())
    fitting = Fitting(
        images=bench.images, test=next(iter(bench.sets.values())), dense=bench.dense, run=run,
        batch=preset.batch, patch=preset.patch, lr=preset.lr, seed=seed, resume=False,
    )  # fmt: skip
    job = bench.job(way, ratio, seed, fitting)
    learned = bench.learned(way)
    if way in ("l1", "scratch"):
        network = by_size(job)
        network = untrained(network, seed) if way == "scratch" else network
    else:
        network = method(way.removesuffix("-polished"))(job)
    first = dict(itertools.islice(bench.sets.items(), 1))
    before = measured(network, first)
    tuned = copy.deepcopy(network)
    if preset.steps > learned:
        phase = Phase("recovery", preset.steps - learned, schedule="cosine")
        fitting.fit(tuned, phase, Idle(), run / "recovery")
    shutil.rmtree(run)
    notes = network.plans[-1].notes if network.plans else {}
    spent, cost, dense = round(time.process_time() - clock), count(tuned), count(bench.dense)
    return {
        "preset": bench.name, "method": way, "ratio": ratio, "seed": seed, "steps": preset.steps, "learned": learned,
        "macs": cost.macs / dense.macs, "params": cost.params / dense.params, "removal": notes,
        "pruned": before, "psnr": measured(tuned, bench.sets_at(ratio)), "processor": spent,
    }  # fmt: skip


def measured(network: Network, sets: Mapping[str, PackedImages]) -> dict[str, float]:
    return {name: training.psnr_on(images)(network.eval())["psnr"] for name, images in sets.items()}


def baseline(bench: Bench) -> dict:
    """The dense network, as a row."""
    return {
        "preset": bench.name, "method": "dense", "ratio": 0.0, "seed": 0, "steps": 0, "learned": 0, "macs": 1.0,
        "params": 1.0, "removal": {}, "psnr": measured(bench.dense, bench.sets),
    }  # fmt: skip


def prepared(name: str, data: Path, device: str | None) -> Bench:
    preset = PRESETS[name]
    own = data / preset.network
    dense = prepare(load(own if own.exists() else preset.network, scale=preset.scale)).to(pick(device)).eval()
    folders = [data / "sets" / part for part in preset.train]
    images = pack(folders, preset.scale)
    sets = {part: pack(data / "sets" / part, preset.scale) for part in preset.sets}
    return Bench(name, preset, dense, images, sets)


def keep(row: dict) -> None:
    shown = ("method", "ratio", "seed", "macs", "pruned", "psnr", "processor")
    print(json.dumps({name: row[name] for name in shown if name in row}), flush=True)
    kept.add(RESULTS, row)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("preset", choices=PRESETS)
    parser.add_argument("--data", type=Path, default=ROOT.parent / "shared" / "data")
    parser.add_argument("--seeds", nargs="+", type=int, default=[0])
    parser.add_argument("--methods", nargs="+", choices=METHODS)
    parser.add_argument("--ratios", nargs="+", type=float)
    parser.add_argument("--cells", type=int, default=10**9)
    parser.add_argument("--device")
    parser.add_argument("--tables", action="store_true")
    given = parser.parse_args()
    if given.tables:
        write_tables(kept.RESULTS / RESULTS)
        return
    torch.set_num_threads(1)
    bench = prepared(given.preset, given.data, given.device)
    done = {(r["method"], r["ratio"], r["seed"]) for r in kept.rows(RESULTS) if r["preset"] == given.preset}
    if ("dense", 0.0, 0) not in done:
        keep(baseline(bench))
    ways, ratios = given.methods or bench.preset.methods, given.ratios or bench.preset.ratios
    wanted = itertools.product(given.seeds, ratios, ways)
    for seed, ratio, way in [c for c in wanted if (c[2], c[1], c[0]) not in done][: given.cells]:
        keep(cell(bench, way, ratio, seed))


if __name__ == "__main__":
    main()
