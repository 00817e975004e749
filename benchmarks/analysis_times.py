"""How long the analysis takes, turn by turn with Torch-Pruning in one process: python benchmarks/analysis_times.py

Processor seconds of one thread, the least of two turns; networks on which Torch-Pruning came to no end are timed for
us alone. The names of rows may follow, and "growth": networks of one to eight times the blocks. Writes into
benchmarks/results/architectures.json after every network; `tables.py` makes the page.
"""

import copy
import gc
import signal
import sys
import warnings
from statistics import median
from typing import Any

import torch
from architectures import read, write
from one_row import COUNTED, SMALL, image, magnitude_pruner, outside, small_network, timed
from rows import GROWING, ROWS, Row, grown

from espalier import channels
from espalier.networks.load import load
from espalier.networks.prepare import prepare

TURNS = 2
CODE = 3
"""Counted up when the analysis gets faster, so that the page tells old times from new."""
TIMES = (1, 2, 4, 8)
"""How many times the survey's blocks."""
GROWTH_TURNS = 9
LIMIT = 40
"""Seconds that Torch-Pruning may take for one network's turns."""


def ours(body: torch.nn.Module, example: torch.Tensor) -> dict[str, Any]:
    graph, _ = timed(lambda: channels.analyse(body, example, prove=False))
    seconds, found = timed(lambda: channels.analyse(body, example))
    return {"graph_s": graph, "analyse_s": seconds, "found": found}


def theirs(body: torch.nn.Module, small: torch.Tensor, large: torch.Tensor) -> dict[str, Any]:
    seconds_large, _ = timed(lambda: magnitude_pruner(body, large))
    seconds, _ = timed(lambda: magnitude_pruner(body, small))
    return {"analyse_s": seconds, "analyse_large_s": seconds_large}


def least(turns: list[dict[str, Any]]) -> dict[str, float]:
    keys = [key for key in turns[0] if key != "found"] if turns else []
    return {key: min(turn[key] for turn in turns) for key in keys}


def row_times(row: Row, known: dict[str, Any]) -> None:
    torch.manual_seed(0)
    network = prepare(load(row.reference))
    other = copy.deepcopy(network) if row.prepared else load(row.reference)
    example = network.encode(channels.sample_inputs(3, *SMALL))
    large = other.encode(channels.sample_inputs(3, *COUNTED))
    endless = "no end" in str(known.get("torch-pruning", {}).get("reason", ""))
    mine: list[dict[str, Any]] = []
    rival: list[dict[str, Any]] = []
    signal.alarm(0 if endless else LIMIT)
    try:
        for _ in range(TURNS):
            mine.append(ours(network.body, example))
            if not endless:
                rival.append(theirs(copy.deepcopy(other.body), example, large))
    except Exception:  # Torch-Pruning's code on a network that it does not know, or past its time
        rival = []
    signal.alarm(0)
    while len(mine) < TURNS:
        mine.append(ours(network.body, example))
    found = mine[-1]["found"]
    known["espalier"] |= least(mine) | {
        "turns": len(mine),
        "code": CODE,
        "outside": outside(network.body, found),
    }
    before = {k: v for k, v in known["torch-pruning"].items() if k not in ("analyse_s", "analyse_large_s")}
    known["torch-pruning"] = before | least(rival)


def past(*_: Any) -> None:
    raise TimeoutError


def grow(family: str) -> dict[str, Any]:
    """The medians of several turns, in each of which every size is analysed once."""
    networks = {times: load(grown(family, times)) for times in TIMES}
    examples = {times: n.encode(channels.sample_inputs(3, *SMALL)) for times, n in networks.items()}
    seconds: dict[int, list[float]] = {times: [] for times in TIMES}
    groups: dict[int, int] = {}
    for _ in range(GROWTH_TURNS):
        for times, network in networks.items():
            gc.collect()
            took, found = timed(lambda n=network, e=examples[times]: channels.analyse(n.body, e))
            seconds[times].append(took)
            groups[times] = len(found.groups)
            del found
    return {
        str(times): {
            "analyse_s": round(median(seconds[times]), 3),
            "turns": seconds[times],
            "groups": groups[times],
            "params": sum(p.numel() for p in network.parameters()),
        }
        for times, network in networks.items()
    }


def main() -> None:
    torch.set_num_threads(1)
    warnings.simplefilter("ignore")
    signal.signal(signal.SIGALRM, past)
    channels.analyse(small_network(), image())
    magnitude_pruner(small_network(), image())
    results = read()
    wanted = set(sys.argv[1:]) or {"growth", *(row.name for row in ROWS)}
    for family in GROWING if "growth" in wanted else ():
        results["growth"][family] = grow(family)
        write(results)
    for row in ROWS:
        if row.name in wanted:
            row_times(row, results["rows"][row.name])
            write(results)
            print(row.name, results["rows"][row.name]["espalier"]["analyse_s"], flush=True)


if __name__ == "__main__":
    main()
