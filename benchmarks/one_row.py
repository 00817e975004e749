"""One network, one tool, one process: python benchmarks/one_row.py espalier|torch-pruning ROW [--onnx]

Prints what was measured as one line of JSON. Times are processor seconds of one thread.
"""

import argparse
import copy
import json
import re
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from rows import ROWS, Row
from torch import Tensor, nn

from espalier import allocation, channels, importance, surgery
from espalier.costs import Cost, count
from espalier.networks import file
from espalier.networks.load import load
from espalier.networks.network import Network
from espalier.networks.prepare import prepare

SMALL = (24, 32)
"""Height and width of the image that both tools trace with, where the network takes it."""
COUNTED = (64, 64)
"""Height and width of the input at which MACs are counted and outputs compared."""
RATIO = 0.5
TIMES = 3
"""How often each time is measured."""


def timed(what: Callable[[], Any], times: int = 1) -> tuple[float, Any]:
    """Processor seconds, the least of several runs, and the last result: other work on the machine only adds."""
    least, result = float("inf"), None
    for _ in range(times):
        begin = time.process_time()
        result = what()
        least = min(least, time.process_time() - begin)
    return round(least, 3), result


def small_network() -> nn.Module:
    """For a first run that is not timed, in which tables are read and libraries wake up."""
    return nn.Sequential(nn.Conv2d(3, 8, 3), nn.ReLU(), nn.Conv2d(8, 3, 3))


def espalier(row: Row, onnx: bool) -> dict[str, Any]:
    """Trace, prove, halve every group, reload in a fresh process."""
    channels.analyse(small_network(), image())
    torch.manual_seed(0)
    network = prepare(load(row.reference))
    example = network.encode(channels.sample_inputs(3, *SMALL))
    graph, _ = timed(lambda: channels.analyse(network.body, example, prove=False), TIMES)
    whole, found = timed(lambda: channels.analyse(network.body, example), TIMES)
    result: dict[str, Any] = {"graph_s": graph, "analyse_s": whole, "share": found.share}
    result["unknown"] = sorted({unknown.operator for unknown in found.unknown})
    result["rigid"] = {g.name: g.reason for g in found.groups if g.status == "rigid"}
    result["outside"] = outside(network.body, found)
    scores = importance.scores("l2", network.body, found.prunable, seed=0)
    kept = halved(found, scores)
    verdict = found.check(kept)
    result |= {"proven": verdict.equal, "difference": verdict.difference, "reason": verdict.reason}
    smaller = copy.deepcopy(network)
    smaller.plans = (found.plan(kept),)
    surgery.apply_(smaller.body, smaller.plans[0])
    result |= reductions(network, smaller)
    result["reload"] = reload_difference(smaller)
    return result | ({"onnx": onnx_difference(smaller)} if onnx else {})


def halved(found: channels.Channels, scores: dict[str, np.ndarray]) -> dict[str, list[int]]:
    """The best channels of every unit, half of them rounded down, as Torch-Pruning rounds."""
    decided = allocation.units(found.groups)
    return allocation.choose(decided, [max(1, int(unit.levels * (1 - RATIO))) for unit in decided], scores)


def outside(body: nn.Module, found: channels.Channels) -> dict[str, float]:
    """Why parameters lie outside the proven groups, with the share of all parameters that each reason holds back."""
    inside = {member.tensor for group in found.prunable for member in group.members}
    whole = {n: p.numel() for n, p in body.named_parameters() if n not in inside}
    reasons: dict[str, list[str]] = {name: [] for name in whole}
    for group in found.groups:
        for tensor in {m.tensor for m in group.members} & whole.keys():
            reasons[tensor].append(group.reason)
    total = sum(p.numel() for p in body.parameters())
    sums: dict[str, float] = {}
    for name, size in whole.items():
        reason = "; ".join(sorted({generic(r) for r in reasons[name]})) or "no axis with several positions"
        sums[reason] = sums.get(reason, 0.0) + size / total
    return sums


def generic(reason: str) -> str:
    """The reason without the numbers of blocks and the sizes of one random cut."""
    return " ".join(re.sub(r"\.\d+(?=\.|$)", ".N", re.sub(r"\(\d+\)", "", reason)).split())


def reductions(dense: Network, pruned: Network) -> dict[str, Any]:
    """Counts before and after, and whether the pruned network still enlarges by its scale."""
    before, after = count(dense, COUNTED), count(pruned, COUNTED)
    with torch.no_grad():
        shape = pruned(image()).shape
    return {
        "runs": shape == (1, 3, *(side * dense.scale for side in COUNTED)),
        "params": [before.params, after.params],
        "macs": [before.macs, after.macs],
        "held_back": held_back(before, after),
    }


def held_back(before: Cost, after: Cost) -> dict[str, list[float]]:
    """Operators whose MACs shrink less than threefold: share of the dense MACs, and how many times fewer."""
    left = {(layer.name, layer.operator): layer.macs for layer in after.layers}
    sums: dict[str, list[float]] = {}
    for layer in before.layers:
        now = left.get((layer.name, layer.operator), layer.macs)
        if now and layer.macs / now < 3:
            pair = sums.setdefault(layer.operator, [0.0, 0.0])
            pair[0], pair[1] = pair[0] + layer.macs, pair[1] + now
    return {
        name: [dense / before.macs, dense / now]
        for name, (dense, now) in sums.items()
        if dense > before.macs / 100
    }


def image() -> Tensor:
    return channels.sample_inputs(3, *COUNTED, seed=1)


def reload_difference(network: Network) -> float:
    """Largest difference after saving, and loading in a fresh process."""
    with tempfile.TemporaryDirectory() as folder:
        saved, answer = Path(folder) / "network.safetensors", Path(folder) / "answer.pt"
        file.save(network, saved)
        code = (
            "import sys, torch; torch.set_num_threads(1); sys.path.insert(0, sys.argv[3]); import one_row as r;"
            "net = r.load(sys.argv[1]); torch.set_grad_enabled(False); torch.manual_seed(0);"
            "torch.save(net(r.image()), sys.argv[2])"
        )
        command = [sys.executable, "-c", code, str(saved), str(answer), str(Path(__file__).parent)]
        subprocess.run(command, check=True, capture_output=True)
        torch.manual_seed(0)
        with torch.no_grad():
            return float((torch.load(answer, weights_only=True) - network(image())).abs().max())


def onnx_difference(network: Network) -> float | str:
    """Largest difference of the exported network in onnxruntime, relative to the largest output, or what failed."""
    import onnxruntime

    example = network.encode(image())
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "network.onnx"
        try:
            torch.onnx.export(
                network.body, (example.clone(),), path, dynamo=True, external_data=False, verbose=False
            )
            session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
            found = session.run(None, {session.get_inputs()[0].name: example.numpy()})[0]
        except Exception as error:  # exporters raise whatever they like
            return explained(deepest(error))
    with torch.no_grad():
        expected = network.body(example.clone())
    expected = expected[0] if isinstance(expected, tuple | list) else expected
    return float((torch.from_numpy(found) - expected).abs().max() / expected.abs().max())


def torch_pruning(row: Row) -> dict[str, Any]:
    """As its README says: a magnitude pruner that leaves out the layers with three outputs."""
    import torch_pruning as tp  # pyright: ignore[reportMissingImports]

    magnitude_pruner(small_network(), image())
    torch.manual_seed(0)
    network = prepare(load(row.reference)) if row.prepared else load(row.reference)
    example = network.encode(channels.sample_inputs(3, *SMALL))
    dense = copy.deepcopy(network)
    result: dict[str, Any] = {}
    stage = "graph"
    try:
        body = copy.deepcopy(network.body)
        result["graph_s"], _ = timed(
            lambda: tp.DependencyGraph().build_dependency(body, example.clone()), TIMES
        )
        stage = "pruner"
        large = network.encode(image())
        result["analyse_large_s"], _ = timed(lambda: magnitude_pruner(body, large), TIMES)
        result["analyse_s"], _ = timed(lambda: magnitude_pruner(body, example), TIMES)
        pruner = magnitude_pruner(network.body, example)
        stage = "step"
        pruner.step()
        stage = "forward"
        result |= reductions(dense, network)
        result["reload"] = fresh_state(dense.body, network.body)
    except Exception as error:  # a third party's code on a third party's network
        result |= {"runs": False, "reason": f"{stage}: {explained(error)}"}
    return result


def magnitude_pruner(body: nn.Module, example: Tensor) -> Any:
    import torch_pruning as tp  # pyright: ignore[reportMissingImports]

    layers = (m for m in body.modules() if isinstance(m, nn.Conv2d | nn.ConvTranspose2d | nn.Linear))
    return tp.pruner.MetaPruner(
        body,
        example.clone(),
        importance=tp.importance.GroupMagnitudeImportance(p=2),
        pruning_ratio=RATIO,
        ignored_layers=[
            m for m in layers if (m.out_features if isinstance(m, nn.Linear) else m.out_channels) == 3
        ],
    )


def fresh_state(dense: nn.Module, pruned: nn.Module) -> bool:
    """Whether the architecture's own class takes the pruned weights."""
    try:
        dense.load_state_dict(pruned.state_dict())
    except RuntimeError:
        return False
    return True


def deepest(error: BaseException) -> BaseException:
    """What an error began with."""
    while error.__cause__ is not None:
        error = error.__cause__
    return error


def explained(error: BaseException) -> str:
    return f"{type(error).__name__}: {' '.join(str(error).split())[:160]}"


def main() -> None:
    torch.set_num_threads(1)
    warnings.simplefilter("ignore")
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("tool", choices=["espalier", "torch-pruning"])
    parser.add_argument("row")
    parser.add_argument("--onnx", action="store_true")
    arguments = parser.parse_args()
    row = next(row for row in ROWS if row.name == arguments.row)
    result = espalier(row, arguments.onnx) if arguments.tool == "espalier" else torch_pruning(row)
    print(json.dumps(result))


if __name__ == "__main__":
    main()
