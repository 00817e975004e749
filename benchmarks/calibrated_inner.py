"""RNet x4 with fewer inner channels in every block and nothing else cut, without training.

python benchmarks/calibrated_inner.py
"""

import argparse
import dataclasses
import time
from pathlib import Path
from typing import Any

import torch
from calibrated import dense_network, material
from kept import keep

from espalier import evaluation
from espalier.allocation import Budget
from espalier.methods import calibrated
from espalier.methods.job import Job
from espalier.networks.network import Network
from espalier.recipes.inspect import trace

RESULTS = "calibrated_inner.json"
KEY = ("kept", "seed", "polish")
WHOLE = ("entry*", "upsample*")
"""The residual stream and the upsampler."""


def rows(kept: int, options: argparse.Namespace) -> list[dict[str, Any]]:
    """After the refit, and after polishing."""
    dense = dense_network("RNet", options.data)
    channels, images = trace(dense), material(options, dense.scale)
    budget = Budget.parse(f"ratio={1 - kept / 64}")
    job = Job(
        dense, channels, channels.cost, budget, "l2", "uniform", 1, WHOLE, images=images, seed=options.seed
    )
    began = time.process_time()
    refitted = calibrated.prune(dataclasses.replace(job, options=calibrated.OPTIONS(polish=0)))
    first = time.process_time()
    polished = calibrated.polished(job, refitted, options.polish)
    last = time.process_time()
    return [
        row(kept, "refitted", refitted, first - began, options),
        row(kept, "calibrated", polished, last - began, options),
    ]


def row(kept: int, way: str, network: Network, seconds: float, options: argparse.Namespace) -> dict[str, Any]:
    widths = {
        tensor.shape[0]
        for name, tensor in network.body.named_parameters()
        if name.startswith("blocks") and name.endswith("body.0.weight")
    }
    psnr = {
        name: evaluation.evaluate(network.eval(), options.data / "sets" / name).psnr for name in options.sets
    }
    found = {
        "kept": kept,
        "way": way,
        "seed": options.seed,
        "polish": options.polish,
        "psnr": psnr,
        "cpu_seconds": round(seconds, 1),
        "widths": sorted(widths),
    }
    print(found, flush=True)
    return found | {"torch": torch.__version__}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, default=Path(__file__).parents[2] / "shared" / "data")
    parser.add_argument("--kept", nargs="+", type=int, default=[48, 32, 16])
    parser.add_argument("--sets", nargs="+", default=["Set5", "Set14"])
    parser.add_argument("--images", type=int, default=32)
    parser.add_argument("--polish", type=int, default=calibrated.OPTIONS().polish)
    parser.add_argument("--seed", type=int, default=0)
    parser.set_defaults(source="photographs")
    options = parser.parse_args()
    torch.set_num_threads(1)
    for kept in options.kept:
        found = rows(kept, options)
        keep(RESULTS, found, by=KEY)


if __name__ == "__main__":
    main()
