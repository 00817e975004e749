"""What a student is taught by: the losses of the training loop, losses between features, an adversary."""

import dataclasses
import difflib
import os
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from espalier.distillation import adversary, features
from espalier.distillation.adversary import Adversary, AdversarySettings
from espalier.distillation.features import Inside
from espalier.distillation.matching import pairs, read_pairs
from espalier.losses import names, parse
from espalier.losses.perceptual import MISSING
from espalier.losses.weighted import LossError
from espalier.methods.protocol import Method
from espalier.networks.network import Network
from espalier.recipes.config import TrainConfig
from espalier.training import TrainSettings
from espalier.training.distributed import current
from espalier.training.schedule import rate

PERCEPTUAL = ("perceptual", "teacher-perceptual")


class GanConfig(BaseModel):
    """The adversary, where `gan` is among the losses."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)

    kind: Literal["vanilla", "hinge", "relativistic"] = "vanilla"
    """The game: as in SRGAN, with a margin, or relative to the mean of the other kind as in ESRGAN."""
    discriminator: Literal["srgan", "unet"] = "srgan"
    """One answer per image, or (with spectral norm) one per pixel."""
    channels: int = Field(default=64, ge=1)
    """Width of the discriminator's first layer."""
    norm: Literal["batch", "spectral", "none"] = "batch"
    """Normalisation in the discriminator "srgan"."""
    warmup: int = Field(default=0, ge=0)
    """Steps before the adversary joins in."""
    lr: float = Field(default=1.0, gt=0)
    """The discriminator's learning rate, as a multiple of the student's."""
    r1: float = Field(default=0.0, ge=0)
    """Weight of the penalty on the discriminator's gradients at real images; 10 is usual, 0 is none."""
    r1_every: int = Field(default=16, ge=1)
    """Steps between two such penalties."""
    patience: int = Field(default=500, ge=1)
    """Steps of imbalance before it is called a collapse."""

    def settings(self, weight: float, betas: tuple[float, float]) -> AdversarySettings:
        """The same for the method."""
        options = {"channels": self.channels}
        shared = self.model_dump(include={"kind", "discriminator", "warmup", "r1", "r1_every", "patience"})
        named = options | ({"norm": self.norm} if self.discriminator == "srgan" else {})
        return AdversarySettings(weight=weight, options=named, betas=betas, **shared)


class FeatureConfig(BaseModel):
    """Which features are compared, where features, attention or affinity are among the losses."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)

    layers: str = ""
    """Pairs of layers as "blocks.1=blocks.4, fuse"; by default blocks that stand at the same share of the way."""
    most: int = Field(default=4, ge=1)
    """Pairs at most, where they are found automatically."""


class DistillConfig(TrainConfig):
    """How a student is taught: everything that `espalier train` takes, and more losses."""

    losses: str = "l1=1,teacher=1"
    """Losses and weights: those of `espalier train`, teacher, features, attention, affinity, gan."""
    ema: float = Field(default=0.999, ge=0, lt=1)
    """Decay per step of the running mean of the weights; 0 keeps none."""
    gan: GanConfig = GanConfig()
    """The adversary."""
    features: FeatureConfig = FeatureConfig()
    """Compared features."""


@dataclass(frozen=True)
class Lesson:
    """One training, ready for `fit`."""

    settings: TrainSettings
    methods: tuple[Method, ...]
    notes: tuple[str, ...] = ()
    """What a person should know: a loss that is off, and why."""


def lesson(
    config: DistillConfig,
    student: Network,
    teacher: Network,
    learned: Mapping[str, Any] | None = None,
) -> Lesson:
    """The training that a config describes; `learned` is the state of an earlier adversary.

    Raises:
        LossError: no such loss, or a file of VGG19 weights that is not the one.
        NetworkError: features cannot be compared, or no such discriminator.
    """
    weights, notes = _possible(_known(parse(config.losses)), config.loss_options)
    base = TrainConfig(
        **{name: getattr(config, name) for name in TrainConfig.model_fields if name != "losses"}
    )
    inside = {name: weight for name, weight in weights.items() if name in features.LOSSES and weight}
    adversarial = weights.get(adversary.NAME, 0.0)
    plain = {n: w for n, w in weights.items() if n not in features.LOSSES and n != adversary.NAME}
    options = _options(config.loss_options, wanted=any(name in plain for name in PERCEPTUAL))
    settings = dataclasses.replace(base.settings(), losses=plain, loss_options=options)
    methods: list[Method] = []
    if inside:
        bodies = student.body, teacher.body
        found = read_pairs(config.features.layers, *bodies) or pairs(*bodies, most=config.features.most)
        methods.append(Inside(teacher, found, inside))
    if adversarial:
        pace = partial(_scaled, settings, config.gan.lr)
        methods.append(Adversary(config.gan.settings(adversarial, config.betas), pace, learned))
    return Lesson(settings, tuple(methods), notes)


def _options(given: Mapping[str, Mapping[str, Any]], *, wanted: bool) -> dict[str, Mapping[str, Any]]:
    """With SRGAN's layer for the perceptual loss, or without that loss's where it is off."""
    others = {name: options for name, options in given.items() if name != "perceptual"}
    return others | ({"perceptual": given.get("perceptual", {"layers": "srgan"})} if wanted else {})


def _scaled(settings: TrainSettings, factor: float, step: int) -> float:
    return factor * rate(settings, step, current().count)


def _known(weights: Mapping[str, float]) -> Mapping[str, float]:
    known = [*names(), *features.LOSSES, adversary.NAME]
    for name in weights:
        plain = name.removeprefix("teacher").removeprefix("-") if name.startswith("teacher") else name
        if plain and plain not in known:
            near = difflib.get_close_matches(plain, known, 1)
            hint = f"did you mean {near[0]!r}?" if near else f"there are {', '.join([*known, 'teacher'])}"
            raise LossError(f"no loss is called {name!r}; {hint}")
    return weights


def _possible(
    weights: Mapping[str, float], options: Mapping[str, Mapping[str, Any]]
) -> tuple[dict[str, float], tuple[str, ...]]:
    """Without the perceptual loss where nobody said where its network's weights are."""
    asked = [name for name in PERCEPTUAL if weights.get(name)]
    named = os.environ.get("ESPALIER_VGG19") or options.get("perceptual", {}).get("weights")
    if not asked or named:
        return dict(weights), ()
    return {n: w for n, w in weights.items() if n not in asked}, (f"{' and '.join(asked)} is off: {MISSING}",)
