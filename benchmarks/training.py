"""Step rate of the training loop against a minimal one by hand: python benchmarks/training.py [--data DIR]

Both train the same network on the same patches: on cached tensors in alternating turns, then the loop on
real images from its packed cache. A DataLoader that decodes PNG files with two workers is timed beside them.
"""

import argparse
import itertools
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset

from espalier.data import PackedImages, Patches, pack
from espalier.networks.load import load
from espalier.training import Point, TrainSettings, fit

BATCH, PATCH, SCALE = 8, 24, 2
NETWORK = "edsr(scale=2, blocks=4, channels=32, peak=1.0)"
WARM = 5
"""Steps before the clock starts."""
Rate = tuple[float, float]
"""Steps per second of the wall clock, and per second of this process's processor time."""


class Cached:
    """The same patches again and again."""

    def __init__(self, patches: Patches) -> None:
        self.pair = patches.batch(0, 0, BATCH)

    def batch(self, _step: int, _first: int, _count: int) -> tuple[Tensor, Tensor]:
        return self.pair


class Decoded(Dataset):
    """What many training scripts do: decode the whole PNG file for each patch."""

    def __init__(self, folder: Path) -> None:
        self.files = sorted(folder.glob("*.png"))

    def __len__(self) -> int:
        return 1_000_000

    def __getitem__(self, index: int) -> tuple[Tensor, Tensor]:
        random = np.random.default_rng(index)
        pixels = np.asarray(Image.open(self.files[index % len(self.files)]).convert("RGB"))
        size = PATCH * SCALE
        top, left = (int(random.integers(length - size + 1)) for length in pixels.shape[:2])
        crop = np.ascontiguousarray(pixels[top : top + size, left : left + size])
        hr = torch.from_numpy(crop).permute(2, 0, 1).float() / 255
        return nn.functional.avg_pool2d(hr, SCALE), hr


def minimal(batches: Iterator[tuple[Tensor, Tensor]], steps: int) -> Rate:
    """Forward, L1, backward, Adam; nothing else."""
    network = load(NETWORK).train()
    network.to(memory_format=torch.channels_last)  # pyright: ignore[reportCallIssue]
    optimizer = torch.optim.Adam(network.parameters(), 1e-4)
    clock = Clock()
    for step, (lr, hr) in enumerate(itertools.islice(batches, steps), start=1):
        optimizer.zero_grad()
        output = network(lr.contiguous(memory_format=torch.channels_last))
        nn.functional.l1_loss(output, hr).backward()
        optimizer.step()
        if step in (WARM, steps):
            clock.note(step)
    return clock.rate()


def ours(batches: Cached | Patches, steps: int) -> Rate:
    clock = Clock()
    settings = TrainSettings(steps=steps, batch=BATCH, patch=PATCH, log_every=WARM, schedule="constant")

    def listener(point: Point) -> None:
        clock.note(point.step)

    fit(load(NETWORK), batches, settings, progress=False, listeners=[listener])
    return clock.rate()


class Clock:
    """Steps per second of the wall clock and of processor time, between the first and the last note."""

    def __init__(self) -> None:
        self.notes: list[tuple[int, float, float]] = []

    def note(self, step: int) -> None:
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


def shares(values: list[float]) -> str:
    """Median and quartiles."""
    low, middle, high = statistics.quantiles(values, n=4)
    return f"{middle:.3f} ({low:.3f}..{high:.3f})"


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, default=Path("../shared/data/sets/BSDS500/train"))
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("--rounds", type=int, default=15)
    given = parser.parse_args()
    torch.set_num_threads(1)
    images = pack(given.data, SCALE)
    patches = Patches(images, PATCH)
    cached = Cached(patches)
    with tempfile.TemporaryDirectory() as folder:
        decode(images.take(range(min(50, len(images)))), Path(folder))
        loader = DataLoader(Decoded(Path(folder)), BATCH, num_workers=2)
        runs: dict[str, Callable[[], Rate]] = {
            "minimal loop, cached tensors": lambda: minimal(itertools.repeat(cached.pair), given.steps),
            "espalier, cached tensors": lambda: ours(cached, given.steps),
            "espalier, packed images": lambda: ours(patches, given.steps),
            "minimal loop, PNG DataLoader, 2 workers": lambda: minimal(iter(loader), given.steps),
        }
        rates = alternating(runs, given.rounds)
    base = rates["minimal loop, cached tensors"]
    print(
        f"{NETWORK}, batch {BATCH}, {PATCH}x{PATCH}, {torch.get_num_threads()} thread, {given.rounds} rounds"
    )
    for name, values in rates.items():
        wall, processor = ([v[i] / b[i] for v, b in zip(values, base)] for i in (0, 1))
        speed = statistics.median(value[0] for value in values)
        print(f"{name:42} {speed:7.2f} steps/s   {shares(wall)}   processor time {shares(processor)}")


if __name__ == "__main__":
    main()
