"""The hooks of ASSL: which channels go, and the term that makes layers agree on them (SSA)."""

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from espalier.channels import ChannelGroup
from espalier.methods.growing import Change, Growing, Moment, Rule, smallest
from espalier.methods.pace import UNIT, Pace
from espalier.methods.places import filters
from espalier.methods.protocol import Batch


class Aligned(Growing):
    """Grows penalties on scales and biases; before that, aligns the scales of layers whose outputs meet."""

    def __init__(
        self, groups: Sequence[ChannelGroup], counts: Mapping[str, int], at: Pace, *, weight: float = 1.0
    ) -> None:
        super().__init__(
            groups, choosing(counts, at), places=filters, press=at.press, interval=at.interval, scaled=True
        )
        self.counts, self.at, self.weight = counts, at, weight

    def losses(self, batch: Batch) -> Mapping[str, Tensor]:
        meeting = [group for group in self.groups if group.name in self.constrained]
        if batch.step >= self.at.align or not meeting or not self.weight:
            return {}
        terms = [agreement(self.lengths(group), self.counts[group.name]) for group in meeting]
        return {"alignment": -self.weight * UNIT * torch.stack(terms).mean()}


def choosing(counts: Mapping[str, int], at: Pace) -> Rule:
    """Free groups choose by their scales at once; constrained ones when aligned, by the first of their layers."""

    def rule(moment: Moment) -> Change:
        going = moment.going
        if going is None and (moment.step >= at.align or not moment.constrained):
            going = smallest(moment.sizes[0], counts[moment.group.name])
        if going is None:
            return moment.penalty, None
        return (moment.penalty + at.delta * going).clamp(max=at.ceiling), going

    return rule


def agreement(scales: Tensor, going: int) -> Tensor:
    """Mean inner product of the layers' soft masks, equations 5 and 6; `scales` is (layers, channels).

    A mask is sigmoid(scale - threshold), the threshold the layer's own scale at the rank of the last that goes.
    """
    threshold = scales.sort(1).values[:, going - 1 : going]
    masks = torch.sigmoid(scales - threshold)
    return (masks @ masks.T).mean()
