"""`analyse`: trace a network, find its channel groups and prove them."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from espalier.channels.atoms import Classes
from espalier.channels.cost import CostModel
from espalier.channels.even import even_groups
from espalier.channels.groups import ChannelGroup
from espalier.channels.heads import rows_held_back, whole_heads
from espalier.channels.lowering import Frozen, Kept, Lowering, dead_classes
from espalier.channels.patterns import named
from espalier.channels.proof import Prover, Verdict
from espalier.channels.records import Trace, Unknown
from espalier.channels.rehearsal import Rehearsal
from espalier.channels.solve import Check, Solver
from espalier.channels.trace import trace
from espalier.channels.unchanged import uncollected
from espalier.notebook import table
from espalier.plan import PrunePlan


@dataclass(frozen=True)
class Channels:
    """The dependency graph of one network: which channels go together, and which may be cut."""

    network: nn.Module
    inputs: tuple[Any, ...]
    trace: Trace
    classes: Classes
    groups: tuple[ChannelGroup, ...]
    frozen: Frozen = frozenset()
    """Attributes that equal a channel count by chance, found out by proof."""

    @property
    def unknown(self) -> list[Unknown]:
        """Operators without a rule that the run met."""
        return self.trace.unknown

    @property
    def prunable(self) -> tuple[ChannelGroup, ...]:
        """The groups that were proven."""
        return tuple(group for group in self.groups if group.proven)

    def group(self, name: str) -> ChannelGroup:
        return next(group for group in self.groups if group.name == name)

    @cached_property
    def cost(self) -> CostModel:
        """MACs, parameters and activations as functions of how many channels each prunable group keeps."""
        return CostModel.build(self.network, self.trace, self.classes, self.groups)

    @cached_property
    def share(self) -> float:
        """Share of the parameters that shrink when proven groups do."""
        slots = {(m.tensor, m.dim) for group in self.prunable for m in group.members}
        tensors = {name for name, _ in slots}
        parameters = dict(self.network.named_parameters())
        total = sum(p.numel() for p in parameters.values())
        return sum(p.numel() for name, p in parameters.items() if name in tensors) / max(total, 1)

    def plan(self, kept: Kept) -> PrunePlan:
        """The plan that keeps these channels of each named group; the other groups stay whole.

        Raises:
            PlanError: an unknown group or channel, or a group that would lose all its channels.
        """
        lowering = Lowering(self.network, self.trace, self.groups, self.classes)
        return lowering.plan(kept, dead_classes(self.groups, self.classes, kept), self.frozen)

    def check(self, kept: Kept) -> Verdict:
        """Prove one cut: the cut network against the masked one, in float64."""
        dead = dead_classes(self.groups, self.classes, kept)
        plan = self.plan(kept)
        with Rehearsal(self.network, self.inputs) as rehearsal:
            return Prover(rehearsal, self.trace, self.classes).check(plan, dead)

    def _repr_html_(self) -> str:
        """The groups, for notebooks."""
        lines = [(g.name, g.channels, len(g.members), g.status, g.reason) for g in self.groups]
        return table(
            f"{len(self.prunable)} of {len(self.groups)} groups can be cut",
            ("Group", "Channels", "Members", "Status", "Why"),
            lines,
            note=f"{self.share:.1%} of the parameters lie in proven groups",
        )


@uncollected()
def analyse(
    network: nn.Module,
    inputs: Tensor | Sequence[Any],
    *,
    heads: bool = False,
    prove: bool = True,
    seed: int = 0,
    progress: Callable[[str], None] | None = None,
) -> Channels:
    """Find the channel groups of any network.

    Args:
        network: the module to trace; it is not changed.
        inputs: what to call it with: one tensor, or a sequence of arguments.
        heads: offer whole attention heads instead of the widths inside them, wherever the code takes fewer.
        prove: test every group by cutting it (see `espalier.channels.proof`); groups that fail become rigid.
        seed: of the random cuts that the proof tries.
    """
    arguments = (inputs,) if isinstance(inputs, Tensor) else tuple(inputs)
    say = progress or (lambda _: None)

    def found(change: Callable[[Trace], Trace]) -> Channels:
        say("tracing")
        traced = change(trace(network, arguments))
        classes, groups = even_groups(traced)
        channels = Channels(network, arguments, traced, classes, named(groups, traced, classes))
        if prove:
            say("proving")
        return proven(channels, seed) if prove else channels

    if not heads:
        return found(lambda traced: traced)
    whole = found(whole_heads)
    stuck = rows_held_back(whole.trace, whole.classes, whole.groups)
    if not stuck:
        return whole
    mixed = found(lambda traced: whole_heads(traced, but=stuck))
    if all(group.status != "rigid" for group in mixed.groups):
        return mixed
    return max(mixed, found(lambda traced: traced), key=lambda channels: channels.share)


def proven(channels: Channels, seed: int) -> Channels:
    """The channels with every group tried by cutting it."""
    with rehearsed(channels) as (check, alike):
        solver = Solver(check, np.random.default_rng(seed), module_types(channels.network), alike)
        groups = solver.solve(channels.groups)
    return replace(channels, groups=_marked(channels, groups), frozen=solver.frozen)


@contextmanager
def rehearsed(channels: Channels) -> Iterator[tuple[Check, Frozen]]:
    """`channels.check` for many cuts, with a choice of frozen attributes; meanwhile the network is in float64.

    With it come the attributes that hold the same integer as others of their module.
    """
    lowering = Lowering(channels.network, channels.trace, channels.groups, channels.classes)
    with Rehearsal(channels.network, channels.inputs, channels.trace.calls) as rehearsal:
        prover = Prover(rehearsal, channels.trace, channels.classes)

        def check(kept: Kept, frozen: Frozen) -> tuple[Verdict, PrunePlan]:
            dead = dead_classes(channels.groups, channels.classes, kept)
            plan = lowering.plan(kept, dead, frozen)
            return prover.check(plan, dead), plan

        yield check, lowering.alike


def module_types(network: nn.Module) -> dict[str, str]:
    return {name: type(module).__name__ for name, module in network.named_modules()}


def _marked(channels: Channels, groups: Iterable[ChannelGroup]) -> tuple[ChannelGroup, ...]:
    """Tell exact groups from those whose cut changes what statistics run over."""
    parts = [channels.classes.of(f) for f in channels.trace.normalised]
    marked = set(np.concatenate([np.unique(p) for p in parts]).tolist()) if parts else set()
    return tuple(
        replace(g, status="normalised") if g.status == "exact" and marked & set(g.classes.tolist()) else g
        for g in groups
    )


def sample_inputs(channels: int, height: int, width: int, seed: int = 0) -> Tensor:
    """A random image batch in 0..1 to trace with, shape (1, channels, height, width)."""
    generator = torch.Generator().manual_seed(seed)
    return torch.rand(1, channels, height, width, generator=generator)
