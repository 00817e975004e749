"""Whether the two networks of an adversarial training still learn from each other."""

import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

MEMORY = 0.05
"""Weight of the newest step in the running means."""
SURE, BLIND, FLAT = 0.99, 0.001, 0.1
"""What counts as certain, as unable to tell, and as an image without contrast."""


class GanCollapseWarning(UserWarning):
    """An adversarial training has gone wrong; it goes on, but probably to no good."""


@dataclass(frozen=True)
class Seen:
    """Running means."""

    real: float
    """Probability of being real that the discriminator gives to real images."""
    made: float
    """The same for made images."""
    contrast: float
    """Standard deviation of the made images over that of the real ones."""


def trouble(seen: Seen) -> str:
    """What is wrong with these means, in words; empty if nothing is."""
    if not 0 <= seen.real + seen.made + seen.contrast < float("inf"):
        return "the discriminator's answers are no longer numbers"
    if seen.contrast < FLAT:
        return f"the made images have {seen.contrast:.2f} of the real ones' contrast"
    if seen.real > SURE and seen.made < 1 - SURE:
        return "the discriminator knows every image, and the generator learns nothing from it any more"
    if abs(seen.real - seen.made) < BLIND:
        return "the discriminator cannot tell made images from real ones at all"
    return ""


class Balance:
    """Running means of an adversarial training; one warning when something has been wrong for `patience` steps."""

    def __init__(self, patience: int, every: int = 10) -> None:
        self.patience, self.every = patience, every
        self.means: Tensor | None = None
        self.since: int | None = None
        self.told = False

    def see(self, step: int, values: Tensor) -> None:
        """Take in (real, made, contrast) of one step; the numbers are fetched only now and then."""
        self.means = values if self.means is None else torch.lerp(self.means, values, MEMORY)
        if step % self.every == 0 and not self.told:
            self._judge(step)

    @property
    def seen(self) -> Seen:
        return Seen(0.5, 0.5, 1.0) if self.means is None else Seen(*self.means.tolist())

    def _judge(self, step: int) -> None:
        seen = self.seen
        wrong = trouble(seen)
        if not wrong:
            self.since = None
            return
        self.since = step if self.since is None else self.since
        if step - self.since >= self.patience:
            self.told = True
            warnings.warn(
                f"adversarial training has collapsed since step {self.since}: {wrong} (real images are judged "
                f"{seen.real:.3f}, made ones {seen.made:.3f}); try a lower weight of gan, a longer warm-up, "
                "spectral norm or r1, and go back to a checkpoint from before",
                GanCollapseWarning,
                stacklevel=2,
            )

    def state_dict(self) -> dict[str, Any]:
        return {"means": self.means, "since": self.since, "told": self.told}

    def load_state_dict(self, state: Mapping[str, Any], device: torch.device | None = None) -> None:
        self.means = None if state["means"] is None else state["means"].to(device)
        self.since, self.told = state["since"], state["told"]
