"""Processor time of calibrated pruning as the network gets deeper: python benchmarks/calibrated_growth.py"""

import json
import time
from pathlib import Path

import torch
from calibrated import KEPT
from drawings import drawings

from espalier.allocation import Budget
from espalier.costs import count
from espalier.data import pack
from espalier.files import write_text
from espalier.methods import calibrated
from espalier.methods.job import Job
from espalier.networks.load import load
from espalier.recipes.inspect import trace

RESULTS = Path(__file__).parent / "results" / "calibrated_growth.json"
BLOCKS = (2, 4, 8, 16)


def main() -> None:
    torch.set_num_threads(1)
    images = pack(drawings(KEPT / "drawings", 32), 2)
    rows: list[dict[str, float]] = []
    for blocks in (2, *BLOCKS):  # the first one warms up
        torch.manual_seed(0)
        network = load(f"edsr(scale=2, blocks={blocks}, channels=24)").eval()
        channels = trace(network)
        layers = {layer.name: layer.macs for layer in count(network).layers}
        model = channels.cost.at_size(layers)
        options = calibrated.OPTIONS(polish=0)
        job = Job(
            network, channels, model, Budget.parse("macs=0.5"), "l2", "damage", 1, (), images, 0, options
        )
        start = time.process_time()
        calibrated.prune(job)
        seconds = time.process_time() - start
        rows.append({"blocks": blocks, "layers": len(layers), "cpu_seconds": seconds})
    rows = rows[1:]
    first = rows[0]["cpu_seconds"] / rows[0]["layers"]
    for row in rows:
        row["ratio"] = row["cpu_seconds"] / row["layers"] / first
    print(json.dumps(rows))
    write_text(RESULTS, json.dumps(rows, indent=1) + "\n")


if __name__ == "__main__":
    main()
