"""How long a growing penalty is aligned, grown and held: as published, or the same shape in fewer steps."""

from dataclasses import dataclass
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from espalier.methods.growing import Decay, Gradient, Press

UNIT = 1 / 255
"""The published penalties balance a loss on images in 0..255; ours are in 0..1."""
SHRINK = 5.0
"""Exponent by which weights that are to go have shrunk at the end of a short growth (to 0.7 %)."""
UPDATES = 50


@dataclass(frozen=True)
class Pace:
    """Three stretches of steps and the penalty's growth."""

    align: int
    """Before the channels of constrained groups are chosen."""
    grow: int
    hold: int
    """At the highest penalty, until the network has settled."""
    interval: int
    delta: float
    ceiling: float
    press: Press

    @property
    def steps(self) -> int:
        return self.align + self.grow + self.hold


class GrowthOptions(BaseModel):
    """What methods with a growing penalty can be told."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)

    steps: int = Field(default=1000, ge=1)
    """Training steps with the penalty, where the schedule is short."""
    schedule: Literal["short", "paper"] = "short"
    """The published numbers of steps and penalties, or their proportions within `steps`."""
    lr: float | None = Field(default=None, gt=0)
    """Learning rate of these steps; by default the run's."""


def published(
    align: int, hold: int, *, interval: int = 20, delta: float = 1e-4, ceiling: float = 0.5
) -> Pace:
    """The penalty acts through gradients and grows to a ceiling; penalties as for images in 0..255."""
    grow = round(ceiling / delta) * interval
    return Pace(align, grow, hold, interval, delta * UNIT, ceiling * UNIT, Gradient())


def within(steps: int, like: Pace) -> Pace:
    """The proportions of `like` in `steps`; weights decay directly, as Adam could not move them far enough."""
    align = round(steps * like.align / like.steps)
    grow = max(1, round(steps * like.grow / like.steps))
    interval = max(1, grow // UPDATES)
    updates = -(-grow // interval)
    delta = 2 * SHRINK / (interval * updates * (updates + 1))
    ceiling = updates * delta
    return Pace(align, grow, max(0, steps - align - grow), interval, delta, ceiling, Decay(ceiling))


def pace(options: GrowthOptions, like: Pace) -> Pace:
    """The schedule that the options ask for."""
    return like if options.schedule == "paper" else within(options.steps, like)
