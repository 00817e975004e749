"""About 90 % less complexity on a DRLN and a SwinIR: python benchmarks/thesis.py small [--cells 4] [--tables]

The schedule of a thesis (sparsify, prune, fine-tune; linear over 1, 4, 8 steps) beside ours. The dense networks are
trained first, into --runs. Then a cell is one network, one share of channels, one way; all cells of a preset have the
same number of training steps, images and learning rate, and all cells of a network and share the same MACs or fewer.
Finished cells are kept in results/thesis.json and not run again; --cells ends after so many.
--tables writes docs/thesis.md. The preset "full" has the networks of the thesis and needs a GPU.
"""

import argparse
import copy
import itertools
import json
import shutil
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import kept
import torch
from structured import by_size
from thesis_tables import write_tables
from thesis_ways import OURS, PRESETS, WAYS, Preset, Way
from torch import nn

from espalier import evaluation, training
from espalier.allocation import Budget
from espalier.costs import count
from espalier.data import PackedImages, pack
from espalier.evaluation.upscale import Upscaler, bicubic, by_network
from espalier.methods.job import Job, Phase, cut, default_allocation, method, options
from espalier.methods.protocol import Idle
from espalier.networks.file import save
from espalier.networks.load import load
from espalier.networks.network import Network
from espalier.networks.prepare import prepare
from espalier.optimizers import RATES
from espalier.recipes.fitting import Fitting
from espalier.recipes.inspect import trace
from espalier.training.device import images_on, pick

ROOT = Path(__file__).parent.parent
RESULTS = "thesis.json"
SIZE = (540, 964)
"""Height and width of the input whose MACs the thesis counts."""
Quality = dict[str, dict[str, float]]


@dataclass(frozen=True)
class Bench:
    """What all cells of one network share."""

    name: str
    network: str
    preset: Preset
    dense: Network
    images: PackedImages
    data: Path

    def fitting(self, run: Path, seed: int) -> Fitting:
        test = pack(self.data / "sets" / self.preset.sets[0], self.preset.scale)
        return Fitting(
            images=self.images, test=test, dense=self.dense, run=run, batch=self.preset.batch,
            patch=self.preset.patch, lr=self.preset.lr, seed=seed, resume=False,
        )  # fmt: skip

    def job(self, way: Way, ratio: float, seed: int, fitting: Fitting) -> Job:
        """Published methods take the share of every group; ours spread the same MACs as they see fit."""
        channels, cost = trace(self.dense), count(self.dense)
        model = channels.cost.at_size({layer.name: layer.macs for layer in cost.layers})
        given = options(way.folder, way.options(self.preset.steps)) if way.folder != "scratch" else None
        job = Job(
            self.dense, channels, model, Budget("ratio", ratio), "group_l2", "uniform", 1, (), self.images,
            seed, options=given, train=fitting, score=fitting.score,
        )  # fmt: skip
        if way.folder not in OURS:
            return job
        macs = float(count(by_size(job)).macs)
        return replace(job, budget=Budget("macs", macs), allocation=default_allocation(way.folder))

    def quality(self, upscaler: Upscaler, sets: Sequence[str]) -> Quality:
        """Mean PSNR and SSIM on Y of every set."""
        found = {
            name: evaluation.compare({"": upscaler}, self.data / "sets" / name, self.preset.scale)[""]
            for name in sets
        }
        return {name: {"psnr": found[name].psnr, "ssim": found[name].ssim} for name in found}

    def measured(self, network: Network, sets: Sequence[str]) -> dict[str, Quality]:
        """As the thesis tests, by the mean of eight turns, and plainly."""
        network.eval()
        return {
            "eight": self.quality(by_network(network, ensemble=True), sets),
            "plain": self.quality(by_network(network), sets),
        }

    def size(self, network: Network) -> dict[str, float]:
        cost = count(network, SIZE)
        return {"macs": cost.macs, "params": cost.params}


def fresh(bench: Bench, like: Network, seed: int) -> Network:
    """The widths of `like`, with the weights that a network of that size begins with."""
    torch.manual_seed(seed)
    reference = bench.preset.networks[bench.network].reference
    network = cut(prepare(load(reference)).to(next(like.parameters()).device), like.plans[-1])
    for module in network.modules():
        if isinstance(module, nn.Conv2d):
            module.reset_parameters()  # drawn for the inputs that are left
    return network


def cell(bench: Bench, name: str, ratio: float, seed: int) -> dict[str, Any]:
    """One network made smaller in one way: its size, its quality before and after recovery."""
    way, steps, clock = WAYS[name], bench.preset.steps, time.process_time()
    run = Path(tempfile.mkdtemp())
    fitting = bench.fitting(run, seed)
    job = bench.job(way, ratio, seed, fitting)
    if way.folder == "scratch":
        network = fresh(bench, by_size(job), seed)
    else:
        network = method(way.folder)(job)
    pruned, learned = bench.measured(network, bench.preset.sets[:1]), way.learned(steps)
    tuned = copy.deepcopy(network)
    rate = RATES["soap"] if way.recovery == "soap" else None  # of Adam the preset's
    phase = Phase("recovery", steps - learned, lr=rate, schedule="cosine", optimizer=way.recovery)
    fitting.fit(tuned, phase, Idle(), run / "recovery")
    shutil.rmtree(run)
    return {
        **key(bench, name, ratio, seed), "steps": steps, "learned": learned, **bench.size(tuned),
        "pruned": pruned, "tuned": bench.measured(tuned, bench.preset.sets),
        "processor": round(time.process_time() - clock),
    }  # fmt: skip


def key(bench: Bench, way: str, ratio: float, seed: int) -> dict[str, Any]:
    return {"preset": bench.name, "network": bench.network, "way": way, "ratio": ratio, "seed": seed}


def baselines(bench: Bench) -> list[dict[str, Any]]:
    """The dense network and bicubic."""
    sets, steps = bench.preset.sets, bench.preset.networks[bench.network].steps
    plain = bench.quality(bicubic(bench.preset.scale), sets)
    dense = {"steps": steps, "tuned": bench.measured(bench.dense, sets)}
    return [
        key(bench, "bicubic", 0.0, 0) | {"steps": 0, "macs": 0, "params": 0, "tuned": {"plain": plain}},
        key(bench, "dense", 0.0, 0) | dense | bench.size(bench.dense),
    ]


def trained(preset: Preset, name: str, images: PackedImages, run: Path, device: str | None) -> Network:
    """The dense network: from `run`, or trained there, on from its last checkpoint."""
    if (run / "network.safetensors").exists():
        return prepare(load(run / "network.safetensors")).to(pick(device)).eval()
    torch.manual_seed(0)
    dense = preset.networks[name]
    network = load(dense.reference).to(pick(device))
    settings = training.TrainSettings(
        steps=dense.steps, batch=preset.batch, patch=preset.patch, lr=preset.lr, warmup=dense.warmup,
        clip=1.0, ema=0.999, validate_every=dense.steps, save_every=max(1, dense.steps // 20), log_every=100,
    )  # fmt: skip
    training.fit(network, images_on(images, pick(device)), settings, run=run, resume=True)
    save(network.eval(), run / "network.safetensors")
    return prepare(network).eval()


def prepared(given: argparse.Namespace, network: str) -> Bench:
    preset = PRESETS[given.preset]
    images = pack([given.data / "sets" / part for part in preset.train], preset.scale)
    dense = trained(preset, network, images, given.runs / given.preset / network, given.device)
    return Bench(given.preset, network, preset, dense, images, given.data)


def keep(row: dict[str, Any]) -> None:
    shown = {name: row[name] for name in ("network", "way", "ratio", "macs")}
    print(json.dumps(shown | {"plain": row["tuned"]["plain"]}), flush=True)
    kept.add(RESULTS, row)


def parsed() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("preset", choices=PRESETS)
    parser.add_argument("--data", type=Path, default=ROOT.parent / "shared" / "data")
    parser.add_argument("--runs", type=Path, default=Path("runs/thesis"))
    parser.add_argument("--networks", nargs="+", choices=("DRLN", "SwinIR"), default=("DRLN", "SwinIR"))
    parser.add_argument("--ways", nargs="+", choices=WAYS, default=tuple(WAYS))
    parser.add_argument(
        "--places", nargs="+", type=int, default=(0, 1), help="which of the shares of channels"
    )
    parser.add_argument("--seeds", nargs="+", type=int, default=(0,))
    parser.add_argument("--cells", type=int, default=10**9)
    parser.add_argument("--device")
    parser.add_argument("--tables", action="store_true")
    return parser.parse_args()


def main() -> None:
    given = parsed()
    if given.tables:
        write_tables(kept.RESULTS / RESULTS)
        return
    torch.set_num_threads(1)
    done = {(r["preset"], r["network"], r["way"], r["ratio"], r["seed"]) for r in kept.rows(RESULTS)}
    left = given.cells
    for name in given.networks:
        bench = prepared(given, name)
        if (given.preset, name, "dense", 0.0, 0) not in done:
            for row in baselines(bench):
                keep(row)
        ratios = [PRESETS[given.preset].networks[name].ratios[place] for place in given.places]
        for seed, ratio, way in itertools.product(given.seeds, ratios, given.ways):
            if left > 0 and (given.preset, name, way, ratio, seed) not in done:
                keep(cell(bench, way, ratio, seed))
                left -= 1


if __name__ == "__main__":
    main()
