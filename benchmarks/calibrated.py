"""Calibrated pruning of published networks without training, beside magnitude and uniform allocation.

python benchmarks/calibrated.py --data ../shared/data --networks RNet IMDN_x4 --budgets 0.75 0.5 0.25
Every cell is written to benchmarks/results/calibrated.json as soon as it is measured; cells already there are kept.
"""

import argparse
import json
import resource
import time
from pathlib import Path

import numpy as np
import torch

from espalier import allocation, calibration, evaluation, importance
from espalier.allocation import Budget
from espalier.costs import count
from espalier.data import pack
from espalier.files import write_text
from espalier.methods import calibrated
from espalier.methods.job import Job, cut
from espalier.networks.load import load
from espalier.networks.network import Network
from espalier.networks.prepare import prepare
from espalier.recipes.inspect import trace

RESULTS = Path(__file__).parent / "results" / "calibrated.json"
NETWORKS = {
    "RNet": ("RNet-EDSRlike/rnet_x4.pth", 4),
    "IMDN_x2": ("IMDN/IMDN_x2.pth", 2),
    "IMDN_x4": ("IMDN/IMDN_x4.pth", 4),
    "CARN-M": ("CARN-M/carn_m.pth", 4),
    "RFDN": ("RFDN/RFDN_AIM.pth", 4),
    "PAN_x2": ("PAN/PANx2_DF2K.pth", 2),
    "RLFN": ("RLFN/team00_rlfn.pth", 4),
    "SRGAN-G": ("SRGAN-G/netG_epoch_4_100.pth", 4),
    "VDSR": ("VDSR/vdsr_state_dict.pth", 2),
    "QuickSRNetLarge": ("QuickSRNetLarge/team11_EFQN.pt", 4),
    "SPAN": ("SPAN/team00_SPAN.pth", 4),
    "SRVGG": ("SRVGG/realesr-animevideov3.pth", 4),
}
WAYS = ("calibrated", "calibrated, uniform", "magnitude")


def pruned(
    way: str, job: Job, material: calibrated.Material, found: calibration.Statistics | None
) -> Network:
    """The network cut to the budget; the time of the statistics is not in it."""
    if way == "magnitude":
        scores = importance.scores("l2", job.network.body, job.channels.prunable)
        kept = allocation.allocate(job.channels, scores, job.budget, by="uniform", cost=job.cost)
        return cut(job.network, job.channels.plan(kept))
    assert found is not None
    curves = calibration.damages(job.network.body, job.channels.prunable, found)
    return calibrated.refitted(job, curves, job.network.encode(material.fitted), found.records)


def measured(network: Network, data: Path, sets: list[str]) -> dict[str, float]:
    return {
        name: evaluation.evaluate(network, data / "sets" / name).to_dict()["mean"]["psnr"] for name in sets
    }


def rows_of(name: str, options: argparse.Namespace, done: set[tuple]) -> None:
    wanted = [(b, w) for b in options.budgets for w in options.ways if (name, b, w) not in done]
    if not wanted:
        return
    path, scale = NETWORKS[name]
    network = prepare(load(options.data / "weights" / path, scale=scale)).eval()
    images = pack(options.data / "sets" / "BSDS500" / "train", scale)
    images = images.take(np.linspace(0, len(images) - 1, options.images).astype(int).tolist())
    material, dense = calibrated.patches(images, options.seed), count(network)
    channels = trace(network)
    model = channels.cost.at_size({layer.name: layer.macs for layer in dense.layers})
    start = time.perf_counter()
    found = calibration.observe(network.body, network.encode(material.fitted), channels.prunable)
    observing = time.perf_counter() - start
    whole = measured(network, options.data, options.sets)
    for budget, way in wanted:
        by = "uniform" if way.endswith("uniform") else "damage"
        parsed = Budget.parse(f"macs={budget}")
        job = Job(network, channels, model, parsed, "l2", by, 1, (), images=images, seed=options.seed)
        start = time.perf_counter()
        smaller = pruned(way, job, material, found)
        seconds = time.perf_counter() - start + (observing if way != "magnitude" else 0)
        cost = count(smaller)
        write({
            "network": name, "budget": budget, "way": way, "dense": whole,
            "psnr": measured(smaller, options.data, options.sets), "macs": cost.macs / dense.macs,
            "params": cost.params / dense.params, "share": channels.share, "images": options.images,
            "seed": options.seed, "seconds": round(seconds, 1), "threads": torch.get_num_threads(),
            "peak_mib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024,
        })  # fmt: skip


def rows() -> list[dict]:
    return json.loads(RESULTS.read_text(encoding="utf-8")) if RESULTS.exists() else []


def write(row: dict) -> None:
    print({k: row[k] for k in ("network", "budget", "way", "dense", "psnr", "macs", "seconds")}, flush=True)
    write_text(RESULTS, json.dumps([*rows(), row], indent=1) + "\n")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=Path(__file__).parents[2] / "shared" / "data")
    parser.add_argument("--networks", nargs="+", default=list(NETWORKS), choices=NETWORKS)
    parser.add_argument("--budgets", nargs="+", type=float, default=[0.75, 0.5, 0.25])
    parser.add_argument("--ways", nargs="+", default=list(WAYS), choices=WAYS)
    parser.add_argument("--sets", nargs="+", default=["Set5"])
    parser.add_argument("--images", type=int, default=32)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--threads", type=int, default=1)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    for name in options.networks:
        rows_of(name, options, {(r["network"], r["budget"], r["way"]) for r in rows()})


if __name__ == "__main__":
    main()
