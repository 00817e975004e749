"""All layers at once: towards the dense network's image, so that each makes up for what the others have lost."""

import copy
import math
from collections.abc import Iterator

import torch
from torch import Tensor

from espalier.calibration.backward import recording
from espalier.data import PackedImages
from espalier.data.patches import generator
from espalier.methods.calibrated.material import decibels, difference, drawn
from espalier.methods.job import Job
from espalier.networks.network import Network, channels_last_
from espalier.optimizers import RATES, Soap
from espalier.sparsity import apply_

HELD = 16
"""Patches that judge."""
RATE, WARMUP, GATHER = RATES["soap"], 10, 32
"""Step as a share of a tensor's root mean square, moves until it is reached, gradients gathered before."""
CHECKS = 8
"""How often the held-out patches are asked."""
ASIDE = 8
"""One image of so many is held out."""
STRONG, CONTRAST = 8, 2.0
"""One patch of so many has more contrast, up to so many times as much."""


def polished(job: Job, network: Network, moves: int) -> Network:
    """`network` after `moves` steps of SOAP towards the dense network's image, on a fresh patch in each.

    Many steps of one patch go further than few of many patches: as much work, 0.02 to 0.1 dB nearer.
    Some patches have more contrast than photographs: networks that multiply activations may else be far off there.
    Of the states on the way the one that is nearest to the dense network on held-out images, which may be the first.
    """
    if not moves or not any(p.requires_grad for p in network.parameters()):
        return network
    train, held = parted(job.images)
    device = next(network.parameters()).device
    x = drawn(held, job.seed, 0, HELD).to(device)
    best = network
    first = least = difference(network, job.network, x)
    for done, trial in _states(job, network, train, moves):
        error = difference(trial, job.network, x)
        job.tell(f"polishing, step {done} of {moves}; {_gained(first, error)}")
        if error < least:
            best, least = copy.deepcopy(trial), error
        if not math.isfinite(error):
            break
    return best


def parted(images: PackedImages) -> tuple[PackedImages, PackedImages]:
    """Images to polish on and images to judge by; all for both where there are too few."""
    apart = list(range(ASIDE // 2, len(images), ASIDE))
    if not apart:
        return images, images
    return images.take([k for k in range(len(images)) if k not in apart]), images.take(apart)


def _states(job: Job, network: Network, images: PackedImages, moves: int) -> Iterator[tuple[int, Network]]:
    """Steps done and the network then, some times on the way and at the end; the network goes on changing."""
    trial = copy.deepcopy(network)
    channels_last_(trial)
    weights = [p for p in trial.parameters() if p.requires_grad]
    optimizer = Soap(weights, lr=RATE, gather=GATHER)
    recorded = recording(trial, drawn(images, job.seed, 0, 1).to(weights[0].device))
    for step in range(-GATHER, moves):
        for group in optimizer.param_groups:
            group["lr"] = rate(step, moves)
        x = seen(images, job.seed, GATHER + 1 + step).to(weights[0].device)
        with recorded():
            _learn(trial, job.network, x.contiguous(memory_format=torch.channels_last))
        optimizer.step()
        optimizer.zero_grad()
        apply_(trial, trial.masks)
        if step >= 0 and ((step + 1) % max(1, moves // CHECKS) == 0 or step + 1 == moves):
            yield step + 1, trial
    trial.to(memory_format=torch.contiguous_format)  # pyright: ignore[reportCallIssue]


def seen(images: PackedImages, seed: int, number: int) -> Tensor:
    """A patch (1, 3, H, W), RGB in 0..1; every eighth with up to twice the contrast."""
    x = drawn(images, seed, number, 1)
    if number % STRONG:
        return x
    factor = CONTRAST ** generator(seed, number, stream=1).random()
    return ((x - 0.5) * factor + 0.5).clamp(0, 1)


def _learn(network: Network, dense: Network, x: Tensor) -> None:
    with torch.no_grad():
        wanted = dense(x)
    with torch.enable_grad():
        (network(x) - wanted).abs().mean().backward()


def rate(step: int, moves: int) -> float:
    """Rises in a straight line, then falls as a cosine to nothing."""
    return RATE * min(1.0, (step + 1) / WARMUP) * 0.5 * (1 + math.cos(math.pi * max(step, 0) / moves))


def _gained(first: float, now: float) -> str:
    return f"{decibels(first):.2f} dB from the dense network's images before, {decibels(now):.2f} dB now"
