"""Jobs on tiny networks with tiny images, and a trainer of a few steps, for methods that learn."""

from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.nn.functional import interpolate

from espalier import training
from espalier.allocation import Budget
from espalier.costs import count
from espalier.data import PackedImages
from espalier.methods import job as jobs
from espalier.methods import protocol
from espalier.methods.job import Job, Phase, Train
from espalier.networks.network import Network
from tests import zoo

SMALL = {"PATCHES": 8, "DRAFTED": 8, "HELD": 4, "SIZE": 16}
"""Of `espalier.methods.calibrated.material`: few and small patches."""
LEARNED: dict[str, dict[str, Any]] = {
    "srp": {"steps": 3},
    "assl": {"steps": 4},
    "gassl": {"steps": 3, "select": 2},
    "greg": {"steps": 3},
    "group_sparse": {"steps": 2},
    "stepwise": {"rounds": 2, "steps": 1, "learn": "growing", "learn_steps": 1},
    "guided": {"rounds": 2, "steps": 1},
}
"""Methods that learn -> options for a few steps."""


@cache
def images(scale: int, count: int = 3, side: int = 32, knots: int = 7) -> PackedImages:
    """Smooth random images, enlarged from `knots` by `knots` pixels."""
    generator = torch.Generator().manual_seed(1)
    hr = interpolate(
        torch.rand(count, 3, knots, knots, generator=generator), (side * scale, side * scale), mode="bicubic"
    )
    lr = interpolate(hr, (side, side), mode="area")
    pixels, places, at = [], [], 0
    for k in range(count):
        starts = []
        for image in (hr[k], lr[k]):
            flat = (image.permute(1, 2, 0).reshape(-1, 3).clamp(0, 1) * 255).round().to(torch.uint8)
            starts.append((at, *image.shape[1:]))
            pixels.append(flat)
            at += len(flat)
        places.append([*starts[0], *starts[1]])
    return PackedImages(torch.cat(pixels), np.array(places), tuple(str(k) for k in range(count)), scale)


def states_after(train: Train) -> tuple[Train, list[Network]]:
    """The same trainer, and a list to which every network is added when it has been trained."""
    seen: list[Network] = []

    def spy(network: Network, phase: Phase, method: protocol.Method) -> None:
        train(network, phase, method)
        seen.append(network)

    return spy, seen


class Trainer:
    """Stands for `recipes.fitting`: a few steps on small patches; remembers the phases."""

    def __init__(self, dense: Network, *, batch: int = 2, patch: int = 16, lr: float = 1e-3) -> None:
        self.dense, self.batch, self.patch, self.lr = dense, batch, patch, lr
        self.phases: list[Phase] = []
        self.images = images(dense.scale)
        self.run: Path | None = None

    def __call__(self, network: Network, phase: Phase, method: protocol.Method) -> None:
        assert phase.name not in [done.name for done in self.phases]
        self.phases.append(phase)
        settings = training.TrainSettings(
            steps=phase.steps, batch=self.batch, patch=self.patch, losses=phase.losses,
            lr=phase.lr or self.lr, schedule=phase.schedule, save_every=max(1, phase.steps // 2),
        )  # fmt: skip
        training.fit(
            network, self.images, settings, method=method, teacher=self.dense, progress=False,
            run=None if self.run is None else self.run / phase.name,
        )  # fmt: skip

    def score(self, network: nn.Module) -> float:
        return training.psnr_on(self.images)(network.eval())["psnr"]


def job(
    method: str,
    entry: zoo.Entry,
    budget: str = "macs=0.6",
    *,
    options: dict[str, Any] | None = None,
    network: Callable[[], Network] | None = None,
    **changed: Any,
) -> Job:
    """What `method` is asked on a network of the zoo."""
    made, channels = (network or (lambda: zoo.network(entry)))().eval(), zoo.channels(entry)
    trainer = Trainer(made)
    given = {
        "network": made, "channels": channels,
        "cost": channels.cost.at_size({layer.name: layer.macs for layer in count(made, entry.size).layers}),
        "budget": Budget.parse(budget), "criterion": "l2", "allocation": jobs.default_allocation(method),
        "round_to": 1, "protect": (), "images": images(made.scale), "seed": 0,
        "options": jobs.options(method, options or {}), "train": trainer, "score": trainer.score,
    }  # fmt: skip
    return Job(**given | changed)


def assert_it_fits(pruned: Network, asked: Job, entry: zoo.Entry, share: float) -> None:
    """One plan that is proven, at most this share of the MACs, and a finite image of the right size."""
    assert len(pruned.plans) == 1
    assert asked.channels.check({c.group: c.kept for c in pruned.plans[0].choices}).equal
    assert count(pruned, entry.size).macs <= share * count(asked.network, entry.size).macs
    x = zoo.image(entry)
    with torch.no_grad():
        image = pruned(x)
    assert image.shape == asked.network(x).shape
    assert bool(image.isfinite().all())
