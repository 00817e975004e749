"""HAIR: every scale of the network under the same growing penalty; those whose loss matters least shrink most."""

import copy
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np
from torch import Tensor, nn

from espalier.methods.growing import Change, Gradient, Growing, Moment, Rule
from espalier.methods.job import Job, Phase
from espalier.methods.pace import UNIT, UPDATES, Pace, published
from espalier.methods.places import filters
from espalier.methods.protocol import Context
from espalier.methods.scales import pressed

CEILING = 0.05
"""Where the penalty stops, beside a loss on images in 0..255."""
PAPER = published(align=0, hold=1, ceiling=CEILING)
TRAVEL, FASTEST = PAPER.grow * 2e-4, 0.05
"""How far Adam can move a scale in the published selection, and the highest learning rate here.

Where scales cannot go as far, their ranking is still that of the weights they began with.
"""


@dataclass(frozen=True)
class Selecting:
    """How responses are drawn out."""

    at: Pace
    alone: bool
    """Whether only what is penalised is trained, so that a high learning rate does no harm."""


def selecting(schedule: Literal["short", "paper"], steps: int) -> Selecting:
    """As published, or the same penalties in fewer steps at a higher learning rate."""
    if schedule == "paper":
        return Selecting(PAPER, alone=False)
    interval = max(1, steps // UPDATES)
    updates = max(1, 3 * steps // (4 * interval))
    grow = updates * interval
    pace = Pace(0, grow, steps - grow, interval, CEILING * UNIT / updates, CEILING * UNIT, Gradient())
    return Selecting(pace, alone=True)


def reaching(at: Pace) -> float:
    """The learning rate at which scales can go as far in these steps as in the published ones."""
    return min(TRAVEL / at.steps, FASTEST)


class Responding(Growing):
    """Keeps the scales as they are at the end, before they are folded."""

    def __init__(self, job: Job, how: Selecting) -> None:
        super().__init__(
            job.channels.prunable, everywhere(how.at), places=filters, press=how.at.press,
            interval=how.at.interval, scaled=True,
        )  # fmt: skip
        self.alone = how.alone

    def ready(self, context: Context) -> None:
        super().ready(context)
        self.pressed = {pressed(self.body, m) for members in self.touched.values() for m in members}

    def after_backward(self, step: int) -> None:
        super().after_backward(step)
        if self.alone:
            for parameter in self.body.parameters():
                if parameter not in self.pressed:
                    parameter.grad = None  # the optimizer leaves it alone

    def finish(self) -> None:
        self.found = {group.name: self.lengths(group).detach() for group in self.groups}
        super().finish()


def everywhere(at: Pace) -> Rule:
    """All penalties rise to the ceiling."""

    def rule(moment: Moment) -> Change:
        return (moment.penalty + at.delta).clamp(max=at.ceiling), None

    return rule


def responses(job: Job, how: Selecting, lr: float | None) -> dict[str, np.ndarray]:
    """Group -> one number per channel, to be compared over all groups; the training is thrown away."""
    network: nn.Module = copy.deepcopy(job.network)
    method = Responding(job, how)
    job.train(network, Phase("selection", how.at.steps, lr=lr), method)
    return levels(method.found)


def levels(found: Mapping[str, Tensor]) -> dict[str, np.ndarray]:
    """What threshold takes a first, second, ... channel of each group, in any order of its channels.

    A group whose outputs several layers make loses as many as these layers lose on average.
    """
    result = {}
    for name, sizes in found.items():
        pooled = np.sort(sizes.double().cpu().numpy(), axis=None)
        result[name] = pooled[len(sizes) - 1 :: len(sizes)]
    return result
