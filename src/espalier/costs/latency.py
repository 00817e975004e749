"""Measured time of a forward pass: networks take turns, so that a noisy machine is noisy for all of them."""

import statistics
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch

from espalier.costs.running import at_rest, default_lr_size, example
from espalier.errors import NetworkError
from espalier.networks.network import Network


@dataclass(frozen=True)
class Latency:
    """Times of repeated forward passes of one image, in milliseconds."""

    median: float
    quarters: tuple[float, float]
    """First and third quartile."""
    runs: int
    input_size: tuple[int, int]
    device: str
    threads: int

    @property
    def spread(self) -> float:
        """The interquartile range."""
        return self.quarters[1] - self.quarters[0]

    def to_dict(self) -> dict[str, Any]:
        """`ms` and `ms_spread`, with how they were measured, for JSON."""
        return {
            "ms": self.median,
            "ms_spread": self.spread,
            "ms_runs": self.runs,
            "ms_input_size": list(self.input_size),
            "device": self.device,
            "threads": self.threads,
        }


def measure(
    networks: Mapping[str, Network],
    lr_size: tuple[int, int] | None = None,
    *,
    device: torch.device | str | None = None,
    runs: int = 20,
    warmup: int = 2,
    seconds: float | None = None,
) -> dict[str, Latency]:
    """Time the networks in turn on an image of `lr_size` (height, width; by default, of a 1280 x 720 output).

    Every round runs each network once, beginning with another one each time. With `seconds`, no round starts
    after that time, but at least three are made. The networks are moved to `device`, if given.

    Raises:
        NetworkError: no networks, or networks of several scales and no `lr_size`.
    """
    size = lr_size or _common_size(networks)
    places = {name: _device(network, device) for name, network in networks.items()}
    runners = {name: _runner(network, size, places[name]) for name, network in networks.items()}
    times: dict[str, list[float]] = {name: [] for name in networks}
    names = list(networks)
    with at_rest(*networks.values()):
        for _ in range(warmup):
            for run in runners.values():
                run()
        end = time.perf_counter() + (seconds if seconds is not None else float("inf"))
        for turn in range(runs):
            if turn >= 3 and time.perf_counter() > end:
                break
            first = turn % len(names)
            for name in names[first:] + names[:first]:
                times[name].append(runners[name]())
    return {name: _latency(times[name], size, places[name]) for name in names}


def _common_size(networks: Mapping[str, Network]) -> tuple[int, int]:
    scales = {network.scale for network in networks.values()}
    if len(scales) != 1:
        raise NetworkError(
            f"cannot choose an input size for networks of scales {sorted(scales) or 'none'}: give networks "
            "of one scale, or the size"
        )
    return default_lr_size(scales.pop())


def _device(network: Network, device: torch.device | str | None) -> torch.device:
    if device is not None:
        return torch.device(device)
    return next((p.device for p in network.parameters()), torch.device("cpu"))


def _runner(network: Network, size: tuple[int, int], place: torch.device) -> Callable[[], float]:
    """A function that runs the network once and gives the milliseconds."""
    network.to(place)
    image = example(size, place).to(next((p.dtype for p in network.parameters()), torch.float32))

    def wait() -> None:
        if place.type == "cuda":
            torch.cuda.synchronize(place)

    def run() -> float:
        wait()
        start = time.perf_counter()
        network(image)
        wait()
        return (time.perf_counter() - start) * 1000

    return run


def _latency(times: list[float], size: tuple[int, int], device: torch.device) -> Latency:
    quarters = statistics.quantiles(times, n=4, method="inclusive") if len(times) > 1 else [times[0]] * 3
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else device.type
    return Latency(quarters[1], (quarters[0], quarters[2]), len(times), size, name, torch.get_num_threads())
