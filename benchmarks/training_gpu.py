"""EDSR-baseline on a GPU: step rate, share of the bf16 peak, eager and compiled, and where the time goes.

Run by `python benchmarks/training.py --gpu`. A training step is counted as three forward passes (one forward, two for
the gradients), two operations per multiply-add. The peak is both the data sheet's, where the GPU is known, and that of
a large bf16 matrix product on the spot.
"""

import itertools
import time
from collections.abc import Callable
from importlib.resources import files
from pathlib import Path
from typing import Any

import torch
from torch.autograd import DeviceType
from torch.profiler import ProfilerActivity, profile
from training import SCALE, Cached, Task, minimal, ours

from espalier.costs import count
from espalier.data import Patches, pack
from espalier.networks.load import load
from espalier.recipes.run import environment
from espalier.training import TrainSettings, fit
from espalier.training.device import images_on

BASELINE = Task("edsr(scale=2, blocks=16, channels=64)", batch=16, patch=48, device="cuda")
SHEET = {"H200": 989, "H100": 989, "A100": 312, "L40S": 362, "L4": 121, "RTX 4090": 165, "RTX 3090": 71}
"""Dense bf16 TFLOP/s by NVIDIA's data sheets (of the SXM forms, where there are several)."""
KINDS = {
    "convolution and matrix products": (
        "conv",
        "gemm",
        "cutlass",
        "xmma",
        "implicit",
        "wgrad",
        "dgrad",
        "mm_",
    ),
    "optimizer": ("adam", "multi_tensor", "foreach"),
    "layout and copies": ("nchw", "nhwc", "copy", "memcpy", "memset", "transpose"),
    "cutting patches": ("index", "gather"),
    "reductions": ("reduce", "mean", "sum"),
}


def measure(task: Task, steps: int = 300, warm: int = 100, rounds: int = 3) -> dict[str, Any]:
    """All versions in alternation; where the time of two of them goes."""
    images = images_on(pack(photographs(), SCALE), torch.device(task.device))
    patches = Patches(images, task.patch)
    cached = Cached(patches.batch(0, 0, task.batch))
    runs: dict[str, Callable[[], tuple[float, float]]] = {
        "minimal loop, fp32, cached patches": lambda: minimal(
            task, itertools.repeat(cached.pair), steps, warm
        ),
        "the loop, fp32, cached patches": lambda: ours(task, cached, steps, warm),
        "the loop, fp32": lambda: ours(task, patches, steps, warm),
        "the loop, bf16": lambda: ours(task, patches, steps, warm, precision="bf16"),
        "the loop, fp16": lambda: ours(task, patches, steps, warm, precision="fp16"),
        "the loop, bf16, compiled": lambda: ours(
            task, patches, steps, warm, precision="bf16", compile="default"
        ),
        "the loop, bf16, compiled with CUDA graphs": lambda: ours(
            task, patches, steps, warm, precision="bf16", compile="reduce-overhead"
        ),
    }
    rates: dict[str, list[float]] = {name: [] for name in runs}
    for _ in range(rounds):
        for name, run in runs.items():
            rates[name].append(run()[0])
    return {
        "environment": environment(),
        "task": {"network": task.network, "batch": task.batch, "patch": task.patch, "steps": steps},
        "flop_per_step": flop(task),
        "peak": {"sheet_tflops": sheet(), "measured_tflops": peak(task.device)},
        "rates": rates,
        "time": {name: profiled(task, patches, compile=mode) for name, mode in VERSIONS.items()},
    }


VERSIONS = {"bf16, eager": "none", "bf16, compiled": "default"}


def photographs() -> Path:
    """The bundled ones: what is in the pictures has no influence on the speed."""
    return Path(str(files("espalier.demo"))) / "photos" / "training"


def flop(task: Task) -> float:
    """Floating-point operations of one training step."""
    return 2 * 3 * count(load(task.network), (task.patch, task.patch)).macs * task.batch


def sheet() -> float | None:
    name = torch.cuda.get_device_name() if torch.cuda.is_available() else ""
    return next((float(tflops) for known, tflops in SHEET.items() if known in name), None)


def peak(device: str, size: int = 8192, seconds: float = 2.0) -> float:
    """TFLOP/s of a square bf16 matrix product, the best of many."""
    size = size if device != "cpu" else 256
    a, b = (torch.randn(size, size, device=device, dtype=torch.bfloat16) for _ in range(2))
    wait: Callable[[], None] = torch.cuda.synchronize if device != "cpu" else lambda: None
    best, end = float("inf"), time.perf_counter() + seconds
    while time.perf_counter() < end:
        wait()
        began = time.perf_counter()
        a @ b
        wait()
        best = min(best, time.perf_counter() - began)
    return 2 * size**3 / best / 1e12


def profiled(task: Task, patches: Patches, warm: int = 20, steps: int = 40, **more: Any) -> dict[str, Any]:
    """Milliseconds per step of the wall clock and on the device: by kind, and of the longest kernels."""
    gpu = task.device != "cpu"
    profiler = profile(activities=[ProfilerActivity.CPU, *([ProfilerActivity.CUDA] if gpu else [])])
    settings = TrainSettings(
        steps=warm + steps,
        batch=task.batch,
        patch=task.patch,
        log_every=warm,
        precision="bf16",
        schedule="constant",
        **more,
    )
    times: list[float] = []

    def listener(point: Any) -> None:
        if point.step == warm:
            profiler.start()
        elif point.step == warm + steps:
            profiler.stop()
        times.append(time.perf_counter())

    fit(load(task.network).to(task.device), patches, settings, progress=False, listeners=[listener])
    # Kernels alone: what launched them carries their time once more.
    events = [event for event in profiler.key_averages() if (event.device_type != DeviceType.CPU) == gpu]
    where = "self_device_time_total" if gpu else "self_cpu_time_total"
    spent = {event.key: getattr(event, where) / 1e3 / steps for event in events}
    longest = sorted(((ms, name) for name, ms in spent.items() if ms), reverse=True)
    kinds: dict[str, float] = {}
    for ms, name in longest:
        kinds[kind(name)] = kinds.get(kind(name), 0.0) + ms
    listed = [{"ms": round(ms, 4), "kernel": name[:120]} for ms, name in longest[:15]]
    return {"wall_ms": (times[-1] - times[0]) * 1e3 / steps, "device_ms": kinds, "longest": listed}


def kind(kernel: str) -> str:
    lower = kernel.lower()
    return next(
        (name for name, words in KINDS.items() if any(word in lower for word in words)), "other arithmetic"
    )


def table(results: dict[str, Any]) -> str:
    """One line per version: the best of its rounds, and its share of the peaks."""
    lines = [
        f"{results['environment']['device']}, torch {results['environment']['torch']}",
        "| | steps/s | TFLOP/s | of the measured bf16 peak | of the data sheet's |",
        "|---|--:|--:|--:|--:|",
    ]
    measured, told = results["peak"]["measured_tflops"], results["peak"]["sheet_tflops"]
    for name, rates in results["rates"].items():
        done = max(rates) * results["flop_per_step"] / 1e12
        share = f"{done / told:.1%}" if told else "-"
        lines.append(f"| {name} | {max(rates):.1f} | {done:.1f} | {done / measured:.1%} | {share} |")
    for name, spent in results["time"].items():
        parts = ", ".join(f"{what} {ms:.2f}" for what, ms in spent["device_ms"].items())
        lines.append(f"\n{name}: {spent['wall_ms']:.2f} ms a step; on the device: {parts} ms")
    return "\n".join(lines)
