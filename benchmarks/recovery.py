"""Recovery after calibrated pruning, Adam beside SOAP, as many seconds of one core each.

python benchmarks/recovery.py --networks SPAN

Starts from networks that benchmarks/calibrated.py keeps; each row goes to benchmarks/results/recovery.json when done.
"""

import argparse
import json
import time
from pathlib import Path
from typing import Any

import torch
from calibrated import KEPT, dense_network, material

from espalier import evaluation, training
from espalier.files import write_text
from espalier.networks.load import load

RESULTS = Path(__file__).parent / "results" / "recovery.json"
LOSSES = {"l1": 1.0, "teacher": 1.0}
BATCH, PATCH = 8, 48
CELLS = (("adam", 2e-4, 130), ("adam", 5e-4, 130), ("soap", 4e-3, 120))
"""Optimizer, rate, steps: a step of SOAP takes a tenth longer."""


def cell(name: str, start: str, optimizer: Any, rate: float, steps: int, options: Any) -> dict[str, Any]:
    """PSNR on Set5 after so many steps, and what they took."""
    network = load(KEPT / f"{name}-{options.budget}-{start}-32-photographs-0.safetensors")
    dense = dense_network(name, options.data)
    settings = training.TrainSettings(
        steps=steps * options.longer, batch=BATCH, patch=PATCH, losses=LOSSES, optimizer=optimizer, lr=rate, warmup=10
    )  # fmt: skip
    began = time.process_time()
    training.fit(network, material(options, dense.scale), settings, teacher=dense, progress=False)
    return {
        "network": name, "start": start, "budget": options.budget, "optimizer": optimizer, "rate": rate,
        "steps": settings.steps, "cpu_seconds": round(time.process_time() - began, 1),
        "psnr": evaluation.evaluate(network.eval(), options.data / "sets" / "Set5").psnr, "torch": torch.__version__,
    }  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, default=Path(__file__).parents[2] / "shared" / "data")
    parser.add_argument("--networks", nargs="+", default=["SPAN"])
    parser.add_argument("--start", default="refitted", choices=["refitted", "calibrated"])
    parser.add_argument("--budget", type=float, default=0.5)
    parser.add_argument("--rates", nargs="+", type=float, default=[rate for _, rate, _ in CELLS])
    parser.add_argument("--longer", type=int, default=1, help="as many times the steps")
    parser.add_argument("--images", type=int, default=32)
    parser.set_defaults(source="photographs")
    options = parser.parse_args()
    torch.set_num_threads(1)
    for name in options.networks:
        for optimizer, rate, steps in CELLS:
            if rate in options.rates:
                row = cell(name, options.start, optimizer, rate, steps, options)
                print(row, flush=True)
                known = json.loads(RESULTS.read_text(encoding="utf-8")) if RESULTS.exists() else []
                write_text(RESULTS, json.dumps([*known, row], indent=1) + "\n")


if __name__ == "__main__":
    main()
