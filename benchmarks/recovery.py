"""Recovery after pruning: the same steps from ours, from Torch-Pruning's cut, from magnitude's and from random weights.

python benchmarks/recovery.py --networks SPAN RNet
python benchmarks/recovery.py --networks SPAN --optimizers adam --rates 5e-4

Pruned networks are those of benchmarks/calibrated.py: what it has kept in runs/ is taken, what it has not is pruned.
Every row of a network takes the same multiply-adds of training (forward through the dense network, forward and
backward through the pruned one), so many steps as --work allows. Each row goes to benchmarks/results/recovery.json
when done; one that lacks a set of --sets is trained anew and measured on its earlier sets too, for the recovered
networks are not kept.
"""

import argparse
import time
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from calibrated import RESULTS as CUTS
from calibrated import dense_network, for_row, job_of, lacks, made, material
from calibrated import key_of as cut_of
from kept import find, keep, read
from torch import nn

from espalier import evaluation, training
from espalier.costs import count
from espalier.networks.network import Network

RESULTS = "recovery.json"
KEY = ("network", "start", "budget", "optimizer", "rate", "work")
LOSSES = {"l1": 1.0, "teacher": 1.0}
BATCH, PATCH, WARMUP = 8, 48, 10
STARTS = ("calibrated", "torch-pruning", "scratch")


def steps_for(work: float, dense: Network, smaller: Network) -> int:
    """Steps within so many multiply-adds; backward counts as two forwards."""
    size = (PATCH, PATCH)
    return max(1, round(work / (BATCH * (count(dense, size).macs + 3 * count(smaller, size).macs))))


def begun(key: Mapping[str, Any], dense: Network, options: argparse.Namespace) -> Network:
    """The network that a row begins with."""
    way = "refitted" if key["start"] == "scratch" else key["start"]  # of the same widths as "calibrated"
    cut = cut_of(key["network"], key["budget"], way, options)
    network = made(cut, for_row(job_of(dense, options), cut))
    if key["start"] == "scratch":
        torch.manual_seed(0)
        for module in network.modules():
            if isinstance(module, nn.Conv2d | nn.Linear | nn.ConvTranspose2d):
                module.reset_parameters()
    return network


def cell(key: Mapping[str, Any], options: argparse.Namespace) -> dict[str, Any]:
    """PSNR before and after."""
    dense, how = dense_network(key["network"], options.data), calibration(options)
    try:
        network = begun(key, dense, how)
    except RuntimeError as error:
        return {**key, "failed": " ".join(str(error).split())[:160]}
    steps = steps_for(key["work"], dense, network)
    settings = training.TrainSettings(
        steps=steps, batch=BATCH, patch=PATCH, losses=LOSSES, optimizer=key["optimizer"], lr=key["rate"], warmup=WARMUP
    )  # fmt: skip
    cut = find(CUTS, cut_of(key["network"], key["budget"], key["start"], how)) or {}
    before = measured(network, options, cut.get("psnr", {}))
    began = time.process_time()
    training.fit(network, material(options, dense.scale), settings, teacher=dense, progress=False)
    return {
        **key, "steps": steps, "images": options.images,
        "cpu_seconds": round(time.process_time() - began, 1), "macs": count(network).macs / count(dense).macs,
        "dense": measured(dense, options, known_of_dense(key["network"])),
        "before": before, "psnr": measured(network, options, {}),
        "torch": torch.__version__,
    }  # fmt: skip


def measured(network: Network, options: argparse.Namespace, known: Mapping[str, float]) -> dict[str, float]:
    """PSNR on the sets, where it is not known."""
    return {
        name: known[name] if name in known else psnr(network, options.data, name) for name in options.sets
    }


def known_of_dense(name: str) -> dict[str, float]:
    """What benchmarks/calibrated.py has measured."""
    return {k: v for row in read(CUTS) if row["network"] == name for k, v in row["dense"].items()}


def calibration(options: argparse.Namespace) -> argparse.Namespace:
    """How the networks were calibrated that recovery begins with."""
    return argparse.Namespace(images=32, source="photographs", seed=0, data=options.data)


def psnr(network: Network, data: Path, name: str) -> float:
    return evaluation.evaluate(network.eval(), data / "sets" / name).psnr


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, default=Path(__file__).parents[2] / "shared" / "data")
    parser.add_argument("--networks", nargs="+", default=["SPAN"])
    parser.add_argument("--starts", nargs="+", default=STARTS, choices=[*STARTS, "refitted", "magnitude"])
    parser.add_argument("--budgets", nargs="+", type=float, default=[0.5])
    parser.add_argument("--optimizers", nargs="+", default=["soap"])
    parser.add_argument("--rates", nargs="+", type=float, default=[4e-3])
    parser.add_argument("--work", type=float, default=6e12, help="multiply-adds of a row")
    parser.add_argument("--images", type=int, default=200)
    parser.add_argument("--sets", nargs="+", default=["Set5", "Set14"])
    parser.set_defaults(source="photographs")
    options = parser.parse_args()
    torch.set_num_threads(1)
    warnings.simplefilter("ignore")
    wanted: list[dict[str, Any]] = [
        dict(zip(KEY, (name, start, budget, optimizer, rate, options.work), strict=True))
        for name in options.networks
        for budget in options.budgets
        for start in options.starts
        for optimizer in options.optimizers
        for rate in options.rates
    ]
    for key in wanted:
        known = find(RESULTS, key)
        if not lacks(known, options.sets):
            continue
        sets = dict.fromkeys([*(known["psnr"] if known else ()), *options.sets])
        row = cell(key, argparse.Namespace(**{**vars(options), "sets": list(sets)}))
        print(row, flush=True)
        keep(RESULTS, [row], by=KEY)


if __name__ == "__main__":
    main()
