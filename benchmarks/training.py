"""Step rate of the training loop against a minimal one by hand: python benchmarks/training.py [--gpu]

Both train the same network on the same patches: on cached tensors in alternating turns, then the loop on
real images from its packed cache. A DataLoader that decodes PNG files with two workers is timed beside them.
With --gpu, EDSR-baseline on this machine's GPU instead: steps per second, share of the bf16 peak, where time goes.
Writes benchmarks/results/training.json or training_gpu.json, and prints the table for docs/training.md.
"""

import argparse
import itertools
import json
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset

from espalier.data import PackedImages, Patches, pack
from espalier.networks.load import load
from espalier.recipes.run import environment
from espalier.training import Point, TrainSettings, fit

RESULTS = Path(__file__).parent / "results"
SCALE = 2
WARM = 5
"""Steps before the clock starts."""
Rate = tuple[float, float]
"""Steps per second of the wall clock, and per second of this process's processor time."""


@dataclass(frozen=True)
class Task:
    """What is trained."""

    network: str = "edsr(scale=2, blocks=4, channels=32, peak=1.0)"
    batch: int = 8
    patch: int = 24
    device: str = "cpu"


class Cached:
    """The same patches again and again."""

    def __init__(self, pair: tuple[Tensor, Tensor]) -> None:
        self.pair = pair

    def batch(self, _step: int, _first: int, _count: int) -> tuple[Tensor, Tensor]:
        return self.pair


class Decoded(Dataset):
    """What many training scripts do: decode the whole PNG file for each patch."""

    def __init__(self, folder: Path, patch: int) -> None:
        self.files = sorted(folder.glob("*.png"))
        self.size = patch * SCALE

    def __len__(self) -> int:
        return 1_000_000

    def __getitem__(self, index: int) -> tuple[Tensor, Tensor]:
        random = np.random.default_rng(index)
        pixels = np.asarray(Image.open(self.files[index % len(self.files)]).convert("RGB"))
        top, left = (int(random.integers(length - self.size + 1)) for length in pixels.shape[:2])
        crop = np.ascontiguousarray(pixels[top : top + self.size, left : left + self.size])
        hr = torch.from_numpy(crop).permute(2, 0, 1).float() / 255
        return nn.functional.avg_pool2d(hr, SCALE), hr


def minimal(task: Task, batches: Iterator[tuple[Tensor, Tensor]], steps: int, warm: int = WARM) -> Rate:
    """Forward, L1, backward, Adam; nothing else."""
    network = load(task.network).to(task.device).train()
    network.to(memory_format=torch.channels_last)  # pyright: ignore[reportCallIssue]
    optimizer = torch.optim.Adam(network.parameters(), 1e-4)
    clock = Clock(task.device)
    for step, (lr, hr) in enumerate(itertools.islice(batches, steps), start=1):
        optimizer.zero_grad()
        output = network(lr.contiguous(memory_format=torch.channels_last))
        nn.functional.l1_loss(output, hr).backward()
        optimizer.step()
        if step in (warm, steps):
            clock.note(step)
    return clock.rate()


def ours(task: Task, batches: Cached | Patches, steps: int, warm: int = WARM, **more: Any) -> Rate:
    """`fit`, which reports every `warm` steps."""
    clock = Clock(task.device)
    settings = TrainSettings(
        steps=steps, batch=task.batch, patch=task.patch, log_every=warm, schedule="constant", **more
    )

    def listener(point: Point) -> None:
        clock.note(point.step)

    fit(load(task.network).to(task.device), batches, settings, progress=False, listeners=[listener])
    return clock.rate()


class Clock:
    """Steps per second of the wall clock and of processor time, between the first and the last note."""

    def __init__(self, device: str = "cpu") -> None:
        self.device = device
        self.notes: list[tuple[int, float, float]] = []

    def note(self, step: int) -> None:
        if self.device != "cpu":
            torch.cuda.synchronize()
        self.notes.append((step, time.perf_counter(), time.process_time()))

    def rate(self) -> Rate:
        (first, *begun), (last, *ended) = self.notes[0], self.notes[-1]
        return (last - first) / (ended[0] - begun[0]), (last - first) / (ended[1] - begun[1])


def alternating(runs: dict[str, Callable[[], Rate]], rounds: int) -> dict[str, list[Rate]]:
    """Rates of all, one after the other, `rounds` times; a first round is thrown away."""
    rates: dict[str, list[Rate]] = {name: [] for name in runs}
    for number in range(rounds + 1):
        for name, run in runs.items():
            rate = run()
            if number:
                rates[name].append(rate)
    return rates


def decode(images: PackedImages, folder: Path) -> None:
    """The packed images as PNG files."""
    for index in range(len(images)):
        Image.fromarray(images.hr(index).permute(1, 2, 0).numpy()).save(folder / f"{index:04d}.png")


def on_the_cpu(task: Task, data: Path, steps: int, rounds: int) -> dict[str, Any]:
    """The four loops in alternation, on one thread."""
    torch.set_num_threads(1)
    images = pack(data, SCALE)
    patches = Patches(images, task.patch)
    cached = Cached(patches.batch(0, 0, task.batch))
    with tempfile.TemporaryDirectory() as folder:
        decode(images.take(range(min(50, len(images)))), Path(folder))
        loader = DataLoader(Decoded(Path(folder), task.patch), task.batch, num_workers=2)
        runs: dict[str, Callable[[], Rate]] = {
            "minimal loop, cached patches": lambda: minimal(task, itertools.repeat(cached.pair), steps),
            "the loop, cached patches": lambda: ours(task, cached, steps),
            "the loop, images from the packed cache": lambda: ours(task, patches, steps),
            "minimal loop, DataLoader that decodes PNG, 2 workers": lambda: minimal(
                task, iter(loader), steps
            ),
        }
        rates = alternating(runs, rounds)
    told = {"network": task.network, "batch": task.batch, "patch": task.patch, "steps": steps}
    return {"environment": environment(), "task": told, "rates": rates}


def table(results: dict[str, Any]) -> str:
    """Shares of the minimal loop's rate: median and quartiles over the rounds."""
    lines = ["| | steps/s | share, wall clock | share, processor time |", "|---|--:|--:|--:|"]
    base, *_ = results["rates"].values()
    for name, values in results["rates"].items():
        wall, processor = (shares([v[i] / b[i] for v, b in zip(values, base)]) for i in (0, 1))
        speed = statistics.median(value[0] for value in values)
        lines.append(f"| {name} | {speed:.2f} | {wall} | {'-' if 'DataLoader' in name else processor} |")
    return "\n".join(lines)


def shares(values: list[float]) -> str:
    low, middle, high = statistics.quantiles(values, n=4)
    return f"{middle:.3f} ({low:.3f}..{high:.3f})"


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, default=Path("../shared/data/sets/BSDS500/train"))
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--gpu", action="store_true", help="measure on the GPU instead")
    given = parser.parse_args()
    if given.gpu:
        import training_gpu  # beside this file

        results = training_gpu.measure(training_gpu.BASELINE)
        name, text = "training_gpu.json", training_gpu.table(results)
    else:
        results = on_the_cpu(Task(), given.data, given.steps, given.rounds)
        name, text = "training.json", table(results)
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / name).write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")
    print(text)


if __name__ == "__main__":
    main()
