"""Training inside a compression: the phases that a method asks for, and the recovery after it."""

import copy
import shutil
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from torch import nn

from espalier import training
from espalier.data import PackedImages
from espalier.methods import protocol
from espalier.methods.job import Optimizer, Phase
from espalier.methods.masking import Keeping
from espalier.methods.protocol import Idle
from espalier.networks.network import Network
from espalier.optimizers import RATES
from espalier.recipes.console import say
from espalier.recipes.sets import watched_on
from espalier.report import folder
from espalier.training.device import images_on


@dataclass(frozen=True)
class Fitting:
    """What all phases of a run share; call it as `methods.job.Train`."""

    images: PackedImages
    test: PackedImages
    dense: Network
    run: Path
    batch: int
    patch: int
    lr: float
    seed: int
    resume: bool

    def __call__(self, network: Network, phase: Phase, method: protocol.Method) -> None:
        say(f"{phase.name}: {phase.steps} steps")
        self.fit(network, phase, method, self.run / folder.PHASES / phase.name)

    def recovered(
        self,
        network: Network,
        steps: int,
        *,
        teacher: bool,
        optimizer: Optimizer,
        lr: float | None,
    ) -> Network:
        """A copy, fine-tuned: the best that was measured on the way, its beginning included.

        What is masked stays zero.
        """
        network = copy.deepcopy(network)
        losses = {"l1": 1.0, "teacher": 1.0} if teacher else {"l1": 1.0}
        phase = Phase("recovery", steps, losses, lr or RATES[optimizer], "cosine", optimizer)
        first, begun = copy.deepcopy(network.state_dict()), self.score(network)
        history = self.fit(network, phase, Keeping(network.masks) if network.masks else Idle(), self.run)
        best = history.best
        if best is not None and best.scores["psnr"] > max(begun, history.last_psnr):
            say(f"the last steps of {phase.name} did harm: kept as it was after {best.step} of {phase.steps}")
            network.load_state_dict(training.best_weights(self.run))
        elif begun > history.last_psnr:
            say(f"{phase.name} did harm at every step: kept as it was before; a lower --lr may do better")
            network.load_state_dict(first)
        return network

    def fit(self, network: Network, phase: Phase, method: protocol.Method, place: Path) -> training.History:
        """Train in place, with checkpoints and log in `place`."""
        largest = int(self.images.places[:, 4:6].min(1).max())
        settings = training.TrainSettings(
            steps=phase.steps,
            batch=self.batch,
            patch=min(self.patch, largest),
            losses=phase.losses,
            optimizer=phase.optimizer,
            lr=phase.lr or self.lr,
            schedule=phase.schedule,
            seed=self.seed,
            validate_every=max(1, phase.steps // 5),
            save_every=max(1, phase.steps // 2),
            log_every=max(1, phase.steps // 50),
        )
        return training.fit(
            network,
            images_on(self.images, next(network.parameters()).device),
            settings,
            method=method,
            teacher=self.dense if any(name.startswith("teacher") for name in phase.losses) else None,
            validate=self.validation,
            run=place,
            resume=self.resume,
        )

    def score(self, network: nn.Module) -> float:
        """Mean PSNR on the images that training is watched on."""
        was = network.training
        psnr = self.validation(network.eval())["psnr"]
        network.train(was)
        return psnr

    @cached_property
    def validation(self) -> training.Validation:
        return watched_on(self.test)

    def tidy(self) -> None:
        """Remove the checkpoints of a finished run; the logs stay."""
        for place in (self.run, *(self.run / folder.PHASES).glob("*")):
            shutil.rmtree(place / "checkpoints", ignore_errors=True)
