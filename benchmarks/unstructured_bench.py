"""One network of the benchmark of sparse networks, and how its cells are trained."""

import copy
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import torch
from unstructured_ways import PRESETS, Preset, Way

from espalier import training
from espalier.allocation import Budget
from espalier.channels import Channels
from espalier.data import PackedImages, pack
from espalier.methods import dynamic, obs
from espalier.methods import job as jobs
from espalier.methods.job import Job, Phase
from espalier.methods.masking import Keeping
from espalier.methods.protocol import Idle, Method
from espalier.networks.file import save
from espalier.networks.load import load
from espalier.networks.network import Network
from espalier.recipes.inspect import trace
from espalier.recipes.opening import opened


@dataclass(frozen=True)
class Bench:
    """What the cells of one preset share."""

    name: str
    preset: Preset
    network: Network
    channels: Channels
    images: PackedImages
    data: Path
    kept: dict[Any, Any] = field(default_factory=dict)
    """The last calibration, which does not depend on the sparsity, and the last network found with it."""

    def train(self, seed: int, augment: bool) -> jobs.Train:
        def fit(network: Network, phase: Phase, method: Method) -> None:
            settings = training.TrainSettings(
                steps=phase.steps,
                batch=self.preset.batch,
                patch=self.preset.patch,
                augment=augment,
                losses=phase.losses,
                lr=phase.lr or self.preset.lr,
                schedule=phase.schedule,
                seed=seed,
            )
            teacher = self.network if phase.losses.get("teacher") else None
            training.fit(network, self.images, settings, method=method, teacher=teacher, progress=False)

        return fit

    def cell(self, way: Way, share: float, seed: int) -> Network:
        """One network, trained."""
        steps, fit = self.preset.steps, self.train(seed, self.preset.augment or way.augment)
        if not way.method:
            network = copy.deepcopy(self.network)
            if way.after:
                losses = {"l1": 1.0, "teacher": way.teacher}
                fit(network, Phase("dense", steps, losses, schedule="cosine"), Idle())
            return network
        job = self.job(way, share, seed, fit)
        network = self.made(way, job)
        if not way.trains and way.after:
            fit(network, Phase("after", steps, schedule="cosine"), Keeping(network.masks))
        return network

    def job(self, way: Way, share: float, seed: int, fit: jobs.Train) -> Job:
        given = dict(way.options) | (self.lengths(way) if way.trains else {})
        return Job(
            network=self.network,
            channels=self.channels,
            cost=self.channels.cost,
            budget=Budget("sparsity", share),
            criterion="l2",
            allocation="global",
            round_to=1,
            protect=(),
            images=self.images,
            seed=seed,
            options=jobs.options(way.method, given),
            train=fit,
        )

    def lengths(self, way: Way) -> dict[str, Any]:
        steps, last = self.preset.steps, round(self.preset.steps * way.dense)
        return {"steps": steps - last} | (
            {"dense_steps": last, "dense_lr": self.preset.lr / 10} if last else {}
        )

    def made(self, way: Way, job: Job) -> Network:
        """By its method; what calibrates shares its calibrations."""
        if way.method == "obs":
            return self.calibrated(job)
        if way.options.get("start") == "calibrated":
            return dynamic.searched(job, self.calibrated(dynamic.calibration(job)))
        return jobs.method(way.method)(job)

    def calibrated(self, job: Job) -> Network:
        key = job.seed, job.budget.value
        if self.kept.get("network key") != key:
            if self.kept.get("seed") != job.seed:
                self.kept.update({"seed": job.seed, "observed": obs.observe(job)})
            self.kept.update({"network key": key, "network": obs.pruned(job, self.kept["observed"])})
        return copy.deepcopy(self.kept["network"])


def bench(name: str, data: Path, work: Path, lr: float | None = None, take: int | None = None) -> Bench:
    """Images, and the dense network, trained first where it has no published weights."""
    preset = PRESETS[name]
    images = pack(data / "sets" / preset.images, preset.scale)
    images = images.take(range(preset.take or len(images)))
    if lr is not None or take is not None:
        made = bench(name, data, work)
        return replace(
            made,
            preset=replace(preset, lr=lr or preset.lr),
            images=images.take(range(take or len(images))),
            name=f"{name}, lr {lr or preset.lr:g}, {take or len(images)} images",
        )
    if not preset.pretrain:
        network = opened(data / "weights" / preset.reference, preset.scale)
        return Bench(name, preset, network, trace(network), images, data)
    path = work / f"{name}.safetensors"
    if not path.exists():
        torch.manual_seed(0)
        network = load(preset.reference)
        settings = training.TrainSettings(
            steps=preset.pretrain,
            batch=preset.batch,
            patch=preset.patch,
            lr=preset.pretrain_lr,
            augment=preset.augment,
        )
        training.fit(network, images, settings, run=work / name, resume=True, progress=False)
        save(network, path)
    network = opened(path)
    return Bench(name, preset, network, trace(network), images, data)
