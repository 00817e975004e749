"""Realised speed-up of pruned networks in onnxruntime, beside the MACs that went; weights do not matter here.

python benchmarks/latency.py --networks RNet IMDN_x4 RFDN SRVGG --size 640x360

For each network the channels are weighed by calibrated damage and cut to four budgets: half the MACs with any
widths, in multiples of eight and of sixteen, and half the time in multiples of sixteen. The dense and the cut
networks then take turns in onnxruntime; the median of their processor times on one thread counts. Rows go to
results/latency.json.
"""

import argparse
import io
import json
import statistics
import time
import warnings
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import torch
from calibrated import NETWORKS, dense_network, material
from kept import keep

from espalier import allocation, calibration
from espalier.allocation import Budget
from espalier.channels import Channels
from espalier.costs import count
from espalier.costs.model import lr_size_of
from espalier.costs.running import example
from espalier.export.rectifiers import split_prelus
from espalier.methods.calibrated.material import patches
from espalier.methods.calibrated.prices import prices
from espalier.methods.job import cut
from espalier.networks.network import Network
from espalier.recipes.inspect import trace
from espalier.recipes.timing import cost_model

RESULTS = "latency.json"
WISHES = (("macs=0.5", 1), ("macs=0.5", 8), ("macs=0.5", 16), ("latency=0.5", 16))

AS_IT_IS = "dense, PReLUs as they are"


def session(network: Network, lr_size: tuple[int, int], split: bool) -> Callable[[], float]:
    """A function that runs the body once in onnxruntime and gives milliseconds."""
    network = split_prelus(network) if split else network
    fed = network.encode(example(lr_size))
    written = io.BytesIO()
    torch.onnx.export(network.body, (fed.clone(),), written, dynamo=False, input_names=["x"])  # type: ignore[arg-type]
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    runner = onnxruntime.InferenceSession(written.getvalue(), options, providers=["CPUExecutionProvider"])
    array = fed.numpy()

    def run() -> float:
        start = time.process_time()
        runner.run(None, {"x": array})
        return (time.process_time() - start) * 1000

    return run


def cut_to(
    network: Network,
    channels: Channels,
    curves: dict[str, Any],
    wish: tuple[str, int],
    size: tuple[int, int],
) -> Network:
    """Cut by damage, nothing refitted."""
    budget = replace(Budget.parse(wish[0]), size=size)
    costs = cost_model(network, channels, budget, "onnxruntime", round_to=wish[1])
    scores = prices(curves, costs, budget, wish[1])
    kept = allocation.allocate(channels, scores, budget, by="damage", round_to=wish[1], cost=costs)
    return cut(network, channels.plan(kept))


def row(name: str, options: argparse.Namespace) -> dict[str, Any]:
    network = dense_network(name, options.data)
    size = tuple(int(edge) for edge in options.size.split("x"))[::-1]
    lr_size = lr_size_of(network.scale, size)  # type: ignore[arg-type]
    channels = trace(network)
    x = patches(material(options, network.scale), 0).fitted[:8]
    found = calibration.observe(network.body, network.encode(x), channels.prunable, probes=4)
    curves = calibration.damages(network.body, channels.prunable, found)
    with torch.no_grad():
        runners = {"dense": session(network, lr_size, options.split_prelu)}
        macs = {"dense": count(network).macs}
        if options.split_prelu:
            runners[AS_IT_IS], macs[AS_IT_IS] = session(network, lr_size, False), macs["dense"]
        for wish in WISHES:
            smaller = cut_to(network, channels, curves, wish, size)  # type: ignore[arg-type]
            label = f"{wish[0]} in multiples of {wish[1]}"
            runners[label], macs[label] = session(smaller, lr_size, options.split_prelu), count(smaller).macs
    times = alternating(runners, options.runs)
    medians = {label: statistics.median(values) for label, values in times.items()}
    cells = {
        label: {
            "ms": medians[label],
            "macs": macs[label] / macs["dense"],
            "speedup": statistics.median(np.array(times["dense"]) / np.array(values)),
            "realised": statistics.median(np.array(times["dense"]) / np.array(values)) * macs[label] / macs["dense"],
        }
        for label, values in times.items()
    }  # fmt: skip
    return {
        "network": f"{name}, PReLUs split" if options.split_prelu else name,
        "size": options.size,
        "runs": options.runs,
        "threads": torch.get_num_threads(),
        "onnxruntime": onnxruntime.__version__,
        "cells": cells,
    }


def alternating(runners: dict[str, Callable[[], float]], runs: int) -> dict[str, list[float]]:
    """Milliseconds of every round; every round begins with another network."""
    names = list(runners)
    times: dict[str, list[float]] = {name: [] for name in names}
    for turn in range(runs + 1):
        first = turn % len(names)
        for name in names[first:] + names[:first]:
            took = runners[name]()
            if turn:  # the first round warms up
                times[name].append(took)
    return times


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, default=Path(__file__).parents[2] / "shared" / "data")
    parser.add_argument(
        "--networks", nargs="+", default=["RNet", "IMDN_x4", "RFDN", "SRVGG"], choices=NETWORKS
    )
    parser.add_argument("--size", default="640x360", help="of the output, width x height")
    parser.add_argument("--runs", type=int, default=9)
    parser.add_argument("--split-prelu", action="store_true", help="as espalier export writes with this flag")
    options = parser.parse_args()
    options.images, options.source = 8, "photographs"
    torch.set_num_threads(1)
    warnings.simplefilter("ignore")
    for name in options.networks:
        new = row(name, options)
        print(json.dumps(new), flush=True)
        keep(RESULTS, [new], by=["network"])


if __name__ == "__main__":
    main()
