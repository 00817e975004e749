"""Which groups of channels hold a network back at half its MACs: each cut alone, refitted, measured.

python benchmarks/calibrated_groups.py --networks SPAN CARN-M
"""

import argparse
import dataclasses
import warnings
from pathlib import Path
from typing import Any

import torch
from calibrated import dense_network, material
from kept import keep

from espalier import calibration, evaluation
from espalier.allocation import Budget, allocate
from espalier.costs import count
from espalier.methods import calibrated
from espalier.methods.calibrated.prices import prices
from espalier.methods.job import Job
from espalier.recipes.inspect import trace

RESULTS = "calibrated_groups.json"
TEST = "Set5"


def rows(name: str, options: argparse.Namespace) -> list[dict[str, Any]]:
    """The groups that cost most by calibration's own reckoning, and all together."""
    dense = dense_network(name, options.data)
    channels, images = trace(dense), material(options, dense.scale)
    job = Job(
        dense, channels, channels.cost, Budget.parse("macs=0.5"), "l2", "damage", 1, (), images=images, seed=0
    )
    seen = calibrated.looked_at(job)
    job = dataclasses.replace(job, network=calibrated.turned(job, seen))
    inputs = job.network.encode(seen.drafted)
    found = calibration.observe(job.network.body, inputs, channels.prunable)
    curves = calibration.damages(job.network.body, channels.prunable, found)
    kept = allocate(channels, prices(curves, job.cost, job.budget, 1), job.budget, by="damage", cost=job.cost)
    damage = {
        group.name: float(curves[group.name].damage[group.channels - len(kept[group.name]) - 1])
        for group in channels.prunable
        if group.name in kept and len(kept[group.name]) < group.channels
    }
    whole, total = measured(dense, options), sum(damage.values())

    def cell(chosen: list[str]) -> dict[str, Any]:
        plan = channels.plan({g: kept[g] for g in chosen})
        smaller = calibrated.refit_to(job.network, plan, inputs, found.records)
        return {
            "network": name, "group": chosen[0] if len(chosen) == 1 else "all",
            "left": sum(len(kept[g]) for g in chosen),
            "of": sum(group.channels for group in channels.prunable if group.name in chosen),
            "predicted": sum(damage[g] for g in chosen) / total,
            "saved": 1 - count(smaller).macs / count(dense).macs,
            "lost": whole - measured(smaller, options), "torch": torch.__version__,
        }  # fmt: skip

    dearest = sorted(damage, key=damage.__getitem__, reverse=True)[: options.most]
    return [cell([each]) for each in dearest] + [cell(list(damage))]


def measured(network: Any, options: argparse.Namespace) -> float:
    return evaluation.evaluate(network.eval(), options.data / "sets" / TEST).psnr


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, default=Path(__file__).parents[2] / "shared" / "data")
    parser.add_argument("--networks", nargs="+", default=["SPAN", "RLFN", "CARN-M"])
    parser.add_argument("--images", type=int, default=32)
    parser.add_argument("--most", type=int, default=4)
    parser.set_defaults(source="photographs")
    options = parser.parse_args()
    torch.set_num_threads(1)
    warnings.simplefilter("ignore")
    for name in options.networks:
        found = rows(name, options)
        print(*found, sep="\n", flush=True)
        keep(RESULTS, found, by=["network"])


if __name__ == "__main__":
    main()
