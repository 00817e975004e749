"""Sparse networks beside the dense one trained as long: PSNR and SSIM on Set5, Set14 and BSD100.

python benchmarks/unstructured.py --preset small --seeds 0 1 2
Every cell (network, sparsity, way, seed) is written to benchmarks/results/unstructured.json as soon as it is measured;
cells already there are kept, so the command can be stopped and given again. `--table` writes docs/unstructured.md.
"""

import argparse
import copy
import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from unstructured_bench import Bench, bench
from unstructured_page import page
from unstructured_ways import PRESETS, SETS, WAYS

from espalier.costs import latency
from espalier.data import PackedImages, pack
from espalier.evaluation.upscale import by_network
from espalier.files import write_text
from espalier.images.io import read_image, write_image
from espalier.networks.network import Network
from espalier.recipes.measure import quality_of_images
from espalier.recipes.run import environment
from espalier.sparsity import apply_, choose, size, sparsity, weights

RESULTS = Path(__file__).parent / "results" / "unstructured.json"
DOCS = Path(__file__).parents[1] / "docs" / "unstructured.md"
SPARSITIES = (0.3, 0.5, 0.7, 0.9, 0.95)
HELD, COUNT, SIDE = "held-out", 16, 192
"""Images to choose settings by: how many, and the pixels of a side."""


def measured(network: Network, data: Path, work: Path, sets: Sequence[str]) -> dict[str, dict[str, float]]:
    upscaler = {"it": by_network(network)}
    return {
        name: quality_of_images(upscaler, images(name, data, work, network.scale))["it"].to_dict()["mean"]
        for name in sets
    }


def images(name: str, data: Path, work: Path, scale: int) -> PackedImages:
    """A set of test images; `HELD` are the middles of a few that no table shows."""
    if name != HELD:
        return pack(data / "sets" / name, scale)
    folder = work / "held-out"
    found = sorted((data / "sets" / "BSDS500" / "test").iterdir())
    for path in found[:: len(found) // COUNT][:COUNT]:
        image = read_image(path)
        top, left = ((side - SIDE) // 2 for side in image.pixels.shape[:2])
        middle = replace(image, pixels=image.pixels[top : top + SIDE, left : left + SIDE])
        if not (folder / f"{path.stem}.png").exists():
            write_image(folder / f"{path.stem}.png", middle)
    return pack(folder, scale)


def row(made: Bench, way: str, share: float, seed: int, work: Path, sets: Sequence[str]) -> dict[str, Any]:
    started = time.perf_counter()
    network = made.cell(WAYS[way], share, seed)
    seconds, weighed = time.perf_counter() - started, size(network)
    return {
        "network": made.name, "way": way, "sparsity": share, "seed": seed,
        "achieved": sparsity(network.masks), "nonzero": weighed.nonzero, "bytes": weighed.bytes,
        "bound": weighed.bound, "seconds": round(seconds, 1), "steps": made.preset.steps, "lr": made.preset.lr,
        "quality": measured(network, made.data, work, sets),
    }  # fmt: skip


def speed(network: Network) -> dict[str, Any]:
    """Milliseconds of the network as it is and with nine of ten weights zero, in turn on the same machine."""
    pruned = copy.deepcopy(network)
    pruned.masks = choose({name: w.detach().abs() for name, w in weights(network).items()}, 0.9)
    apply_(pruned, pruned.masks)
    times = latency.measure({"dense": network, "zeros": pruned}, (180, 320), seconds=10.0)
    return {"size": [180, 320], "sparsity": 0.9} | {name: time.to_dict() for name, time in times.items()}


def content() -> dict[str, Any]:
    return json.loads(RESULTS.read_text(encoding="utf-8")) if RESULTS.exists() else {"rows": []}


def rows(part: str = "rows") -> list[dict[str, Any]]:
    return content().get(part, [])


def store(found: Mapping[str, Any]) -> None:
    whole = {"environment": environment()} | content() | dict(found)
    write_text(RESULTS, json.dumps(whole, indent=1) + "\n")


def write(found: dict[str, Any], part: str) -> None:
    psnr = {name: round(mean["psnr"], 3) for name, mean in found["quality"].items()}
    print(found["way"], found["sparsity"], found["seed"], psnr, found["seconds"], flush=True)
    store({part: [*rows(part), found | {"device": environment()["device"]}]})


def key(found: Mapping[str, Any]) -> tuple:
    return found["network"], found["way"], found["sparsity"], found["seed"]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=Path(__file__).parents[2] / "shared" / "data")
    parser.add_argument("--work", type=Path, default=Path("runs/unstructured"))
    parser.add_argument("--preset", default="small", choices=PRESETS)
    parser.add_argument("--sparsities", nargs="+", type=float, default=list(SPARSITIES))
    parser.add_argument("--ways", nargs="+", default=list(WAYS), choices=WAYS)
    parser.add_argument("--seeds", nargs="+", type=int, default=[0])
    parser.add_argument("--lr", type=float, help="instead of the preset's; such rows are kept apart")
    parser.add_argument(
        "--take", type=int, help="train on the first so many images; such rows are kept apart"
    )
    parser.add_argument("--sets", nargs="+", default=list(SETS), choices=SETS)
    parser.add_argument("--held", action="store_true", help="measure only on images that no table shows")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--table", action="store_true", help="write docs/unstructured.md and nothing else")
    parser.add_argument("--speed", action="store_true", help="only time zeros beside dense weights")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    if options.table:
        write_text(DOCS, page(content()))
        return
    made = bench(options.preset, options.data, options.work, options.lr, options.take)
    if options.speed:
        store({"speed": speed(made.network)})
        return
    wanted = [
        (way, share if WAYS[way].method else 0.0, seed)
        for seed in options.seeds
        for share in options.sparsities
        for way in options.ways
    ]
    part, sets = ("held", [HELD]) if options.held else ("rows", options.sets)
    for way, share, seed in wanted:
        if (made.name, way, share, seed) not in {key(found) for found in rows(part)}:
            write(row(made, way, share, seed, options.work, sets), part)


if __name__ == "__main__":
    main()
