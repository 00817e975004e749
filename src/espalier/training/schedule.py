"""Learning rates: functions of the step, and the plateau rule, which watches the validation."""

import math
from collections.abc import Callable

from espalier.training.settings import TrainSettings

Shape = Callable[[TrainSettings, int], float]


def constant(_settings: TrainSettings, _step: int) -> float:
    return 1.0


def cosine(settings: TrainSettings, step: int) -> float:
    """From 1 to `lr_end` over the steps after the warm-up."""
    share = (step - settings.warmup) / max(1, settings.steps - settings.warmup)
    return settings.lr_end + (1 - settings.lr_end) * 0.5 * (1 + math.cos(math.pi * min(max(share, 0.0), 1.0)))


def drops(settings: TrainSettings, step: int) -> float:
    return settings.drop ** (step // settings.drop_every)


SHAPES: dict[str, Shape] = {"constant": constant, "cosine": cosine, "step": drops, "plateau": constant}


def rate(settings: TrainSettings, step: int, workers: int = 1) -> float:
    """Learning rate of `step`, without what a plateau took off."""
    full = settings.lr * (workers if settings.scale_lr else 1)
    warm = min(1.0, (step + 1) / (settings.warmup + 1))
    return full * warm * SHAPES[settings.schedule](settings, step)


class Plateau:
    """Multiplies the rate by `drop` whenever `patience` validations in a row bring nothing better."""

    def __init__(self, settings: TrainSettings) -> None:
        self._drop = settings.drop if settings.schedule == "plateau" else 1.0
        self._patience = settings.patience
        self.factor = 1.0
        self.best = -math.inf
        self.waited = 0

    def see(self, value: float) -> None:
        """Take note of a validation result, larger is better."""
        if value > self.best:
            self.best, self.waited = value, 0
            return
        self.waited += 1
        if self.waited > self._patience:
            self.factor, self.waited = self.factor * self._drop, 0

    def state_dict(self) -> dict[str, float]:
        return {"factor": self.factor, "best": self.best, "waited": self.waited}

    def load_state_dict(self, state: dict[str, float]) -> None:
        self.factor, self.best, self.waited = state["factor"], state["best"], int(state["waited"])
