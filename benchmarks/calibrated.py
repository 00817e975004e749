"""Calibrated pruning of published networks without training, beside magnitude, equal shares and Torch-Pruning.

python benchmarks/calibrated.py --networks RNet IMDN_x4 --budgets 0.75 0.5 0.25 --sets Set5 Set14 BSD100
python benchmarks/calibrated.py --budgets 0.5 --ways refitted calibrated
python benchmarks/calibrated.py --networks RNet --budgets 0.5 --ways calibrated --images 8 --source drawings --seed 1

A row is written to benchmarks/results/calibrated.json as soon as it is measured; what is there already is kept, and
the networks lie in runs/calibrated, so that further sets need no new pruning. benchmarks/calibrated_tables.py makes
docs/calibrated.md of the rows.
"""

import argparse
import dataclasses
import resource
import time
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from drawings import drawings
from kept import find, keep, read
from rival import cut_by_torch_pruning

from espalier import allocation, calibration, evaluation, importance
from espalier.allocation import Budget
from espalier.costs import count
from espalier.data import PackedImages, pack
from espalier.methods import calibrated
from espalier.methods.job import Job, cut
from espalier.networks import file
from espalier.networks.load import load
from espalier.networks.network import Network
from espalier.networks.prepare import prepare
from espalier.recipes.inspect import trace

ROOT = Path(__file__).parent
RESULTS, KEPT = "calibrated.json", ROOT.parent / "runs" / "calibrated"
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
WAYS = ("calibrated", "refitted", "equal shares", "magnitude", "torch-pruning")
KEY = ("network", "budget", "way", "images", "source", "seed")


def dense_network(name: str, data: Path) -> Network:
    path, scale = NETWORKS[name]
    return prepare(load(data / "weights" / path, scale=scale)).eval()


def material(options: argparse.Namespace, scale: int) -> PackedImages:
    """The images to calibrate on."""
    if options.source == "drawings":
        images = pack(drawings(KEPT / "drawings", 128), scale)
    else:
        images = pack(options.data / "sets" / "BSDS500" / "train", scale)
    return images.take(np.linspace(0, len(images) - 1, options.images).astype(int).tolist())


def pruned(key: Mapping[str, Any], job: Job) -> Network:
    """The network made in the way of a row; "calibrated" polishes what "refitted" has made."""
    way = key["way"]
    if way == "calibrated":
        return calibrated.polished(job, made({**key, "way": "refitted"}, job), calibrated.OPTIONS().polish)
    if way in ("refitted", "equal shares"):
        return calibrated.prune(dataclasses.replace(job, options=calibrated.OPTIONS(polish=0)))
    if way == "one draft":
        return one_draft(job)
    if way == "torch-pruning":
        return cut_by_torch_pruning(job.network, job.budget.value)
    scores = importance.scores("l2", job.network.body, job.channels.prunable)
    kept = allocation.allocate(job.channels, scores, job.budget, by="uniform", cost=job.cost)
    return cut(job.network, job.channels.plan(kept))


def one_draft(job: Job) -> Network:
    """Cut by damage and refitted once, on half of the patches: for comparing calibration images, not networks."""
    seen = calibrated.looked_at(job)
    job = dataclasses.replace(job, network=calibrated.turned(job, seen))
    inputs = job.network.encode(seen.drafted)
    statistics = calibration.observe(job.network.body, inputs, job.channels.prunable)
    curves = calibration.damages(job.network.body, job.channels.prunable, statistics)
    return calibrated.refitted(job, curves, inputs, statistics.records)


def measured(network: Network, data: Path, sets: list[str]) -> dict[str, float]:
    return {
        name: evaluation.evaluate(network, data / "sets" / name).to_dict()["mean"]["psnr"] for name in sets
    }


def rows_of(name: str, options: argparse.Namespace) -> None:
    wanted = [
        key
        for budget in options.budgets
        for way in options.ways
        if lacks(find(RESULTS, key := key_of(name, budget, way, options)), options.sets)
    ]
    if not wanted:
        return
    network = dense_network(name, options.data)
    whole = dense_row(name, network, options)
    job = job_of(network, options)
    for key in wanted:
        write(key | {"dense": whole} | cell(key, for_row(job, key), options))


def job_of(network: Network, options: argparse.Namespace) -> Job:
    """All that rows of a network share."""
    channels = trace(network)
    model = channels.cost.at_size({layer.name: layer.macs for layer in count(network).layers})
    images, budget = material(options, network.scale), Budget.parse("macs=0.5")
    return Job(
        network, channels, model, budget, "l2", calibrated.ALLOCATION, 1, (), images=images, seed=options.seed
    )


def for_row(job: Job, key: Mapping[str, Any]) -> Job:
    by = "uniform" if key["way"] == "equal shares" else calibrated.ALLOCATION
    return dataclasses.replace(job, budget=Budget.parse(f"macs={key['budget']}"), allocation=by)


def made(key: Mapping[str, Any], job: Job) -> Network:
    """The network of a row, from its file or pruned now."""
    place = place_of(key)
    if not place.exists():
        smaller = pruned(key, job)
        if key["way"] == "torch-pruning":  # has layers of its own making
            return smaller
        place.parent.mkdir(parents=True, exist_ok=True)
        file.save(smaller, place)
    return load(place)


def cell(key: Mapping[str, Any], job: Job, options: argparse.Namespace) -> dict[str, Any]:
    """What is measured of one network: taken from its file, or pruned now."""
    before = find(RESULTS, key) or {}
    missing = [name for name in options.sets if name not in before.get("psnr", {})]
    times, earlier = {k: before.get(k) for k in ("cpu_seconds", "wall_seconds")}, {}
    if key["way"] == "calibrated" and place_of(refitted := {**key, "way": "refitted"}).exists():
        earlier = find(RESULTS, refitted) or {}
    is_new, cpu, wall = not place_of(key).exists(), time.process_time(), time.perf_counter()
    try:
        smaller = made(key, job)
        if is_new:
            taken = {"cpu_seconds": time.process_time() - cpu, "wall_seconds": time.perf_counter() - wall}
            times = {k: round(seconds + earlier.get(k, 0.0), 1) for k, seconds in taken.items()}
        cost, dense = count(smaller), count(job.network)
        psnr = before.get("psnr", {}) | measured(smaller, options.data, missing)
    except Exception as error:  # a third party's code on a third party's network
        if key["way"] != "torch-pruning":
            raise
        return {"failed": f"{type(error).__name__}: {' '.join(str(error).split())[:160]}"}
    return {
        "psnr": psnr,
        "macs": cost.macs / dense.macs,
        "params": cost.params / dense.params,
        "share": job.channels.share,
        **times,
        "peak_mib": max(
            resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024, earlier.get("peak_mib", 0)
        ),
        "torch": torch.__version__,
        "threads": torch.get_num_threads(),
    }


def place_of(key: Mapping[str, Any]) -> Path:
    """Where the network of a row is kept."""
    return KEPT / ("-".join(str(key[k]).replace(" ", "_") for k in KEY) + ".safetensors")


def dense_row(name: str, network: Network, options: argparse.Namespace) -> dict[str, float]:
    """PSNR of the dense network on every set asked for so far."""
    known: dict[str, float] = {}
    for row in read(RESULTS):
        if row["network"] == name:
            known |= row["dense"]
    return known | measured(network, options.data, [s for s in options.sets if s not in known])


def key_of(name: str, budget: float, way: str, options: argparse.Namespace) -> dict[str, Any]:
    given = (name, budget, way, options.images, options.source, options.seed)
    return dict(zip(KEY, given, strict=True))


def lacks(row: Mapping[str, Any] | None, sets: list[str]) -> bool:
    return row is None or ("failed" not in row and any(name not in row["psnr"] for name in sets))


def write(row: dict[str, Any]) -> None:
    shown = {
        k: row[k]
        for k in (*KEY[:3], "dense", "psnr", "macs", "cpu_seconds", "peak_mib", "failed")
        if k in row
    }
    print(shown, flush=True)
    keep(RESULTS, [row], by=KEY)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, default=ROOT.parent.parent / "shared" / "data")
    parser.add_argument("--networks", nargs="+", default=list(NETWORKS), choices=NETWORKS)
    parser.add_argument("--budgets", nargs="+", type=float, default=[0.75, 0.5, 0.25])
    parser.add_argument("--ways", nargs="+", default=list(WAYS), choices=[*WAYS, "one draft"])
    parser.add_argument("--sets", nargs="+", default=["Set5"])
    parser.add_argument("--source", default="photographs", choices=["photographs", "drawings"])
    parser.add_argument("--images", type=int, default=32)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--threads", type=int, default=1)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    warnings.simplefilter("ignore")
    for name in options.networks:
        rows_of(name, options)


if __name__ == "__main__":
    main()
