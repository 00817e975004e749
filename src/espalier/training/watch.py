"""Losses gathered without waiting for the GPU at every step, and the first that is no number."""

import torch
from torch import Tensor

from espalier.training.errors import TrainingError

ADVICE = "try a lower learning rate, or clip the gradients"


class Watch:
    """Collects losses step by step; `flush` gives their means, `check` stops at one that is not finite."""

    def __init__(self) -> None:
        self._steps: list[int] = []
        self._names: tuple[str, ...] = ()
        self._values: list[Tensor] = []
        self._seen: list[list[float]] = []

    def push(self, step: int, losses: dict[str, Tensor]) -> None:
        self._names = tuple(losses)
        self._steps.append(step)
        self._values.append(torch.stack([value.detach().float() for value in losses.values()]))
        if not self._values[-1].is_cuda:
            self.check()

    def check(self) -> None:
        """Fetch what was pushed.

        Raises:
            TrainingError: a loss is NaN or infinite; names the step and the terms.
        """
        if not self._values:
            return
        rows = torch.stack(self._values).tolist()
        for step, row in zip(self._steps, rows):
            if not all(abs(value) < float("inf") for value in row):
                told = ", ".join(f"{name}={value:g}" for name, value in zip(self._names, row))
                raise TrainingError(f"the loss is no longer a number at step {step} ({told}); {ADVICE}")
        self._seen += rows
        self._steps, self._values = [], []

    def flush(self) -> dict[str, float]:
        """Means by name since the last flush."""
        self.check()
        count = len(self._seen)
        rows, self._seen = self._seen, []
        return {name: sum(row[i] for row in rows) / count for i, name in enumerate(self._names) if count}
