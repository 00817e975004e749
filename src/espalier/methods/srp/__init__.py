"""Structure-regularised pruning: aligned channels are pressed to zero by a penalty that grows, then cut.

Zhang, Wang, Qin, Fu: "Learning Efficient Image Super-Resolution Networks via Structure-Regularized Pruning", ICLR 2022.
"""

import copy
from collections.abc import Mapping, Sequence

import numpy as np
import torch
from torch import Tensor, nn

from espalier.channels import ChannelGroup
from espalier.importance import scores
from espalier.methods.growing import Change, Growing, Moment, Rule, kept, smallest
from espalier.methods.job import Job, Phase
from espalier.methods.pace import GrowthOptions, Pace, pace, published
from espalier.methods.places import filters, is_constrained
from espalier.methods.removal import removed
from espalier.methods.widths import cut_groups, going_counts
from espalier.networks.network import Network

ALLOCATION = "uniform"
OPTIONS = GrowthOptions
PAPER = published(align=0, hold=43_150)


def prune(job: Job) -> Network:
    """Choose once, press while training, cut.

    Raises:
        PlanError: nothing can be pruned, or the budget cannot be met.
    """
    sizes = scores("l1", job.network.body, job.channels.prunable, seed=job.seed)
    counts = going_counts(job, sizes)
    groups = cut_groups(job, counts)
    going = chosen(job.network.body, groups, counts, sizes, job.seed)
    return pressed_out(job, groups, going, pace(job.options, PAPER), {"l1": 1.0})


def chosen(
    body: nn.Module,
    groups: Sequence[ChannelGroup],
    counts: Mapping[str, int],
    sizes: Mapping[str, np.ndarray],
    seed: int,
) -> dict[str, Tensor]:
    """Channels to go: at random where several layers share them, otherwise those with the smallest filters."""
    rng = np.random.default_rng(seed)
    result = {}
    for group in groups:
        order = rng.random(group.channels) if is_constrained(body, group) else sizes[group.name]
        result[group.name] = smallest(torch.from_numpy(order), counts[group.name])
    return result


def pressed_out(
    job: Job,
    groups: Sequence[ChannelGroup],
    going: Mapping[str, Tensor],
    at: Pace,
    losses: Mapping[str, float],
) -> Network:
    """Train a copy under a penalty that grows on these channels, then cut them away."""
    network = copy.deepcopy(job.network)
    method = Growing(groups, rising(at), places=filters, press=at.press, interval=at.interval, going=going)
    job.train(network, Phase("growing", at.steps, losses, job.options.lr), method)
    return removed(job, network, kept(groups, method.going))


def rising(at: Pace) -> Rule:
    """Penalties of what is to go rise to the ceiling."""

    def rule(moment: Moment) -> Change:
        assert moment.going is not None
        return (moment.penalty + at.delta * moment.going).clamp(max=at.ceiling), moment.going

    return rule
