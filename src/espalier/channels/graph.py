"""`analyse`: trace a network, find its channel groups and prove them."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from espalier.channels import proof
from espalier.channels.atoms import Classes
from espalier.channels.cost import CostModel
from espalier.channels.groups import ChannelGroup, find_groups
from espalier.channels.lowering import Kept, dead_classes, lower
from espalier.channels.trace import Trace, Unknown, named_tensors, trace
from espalier.plan import PrunePlan


@dataclass(frozen=True)
class Channels:
    """The dependency graph of one network: which channels go together, and which may be cut."""

    network: nn.Module
    inputs: tuple[Any, ...]
    trace: Trace
    classes: Classes
    groups: tuple[ChannelGroup, ...]

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
        return lower(self.network, self.trace, self.groups, self.classes, kept)

    def check(self, kept: Kept, network: nn.Module | None = None) -> proof.Verdict:
        """Prove one cut: the cut network against the masked one, in float64.

        Args:
            network: a `proof.rehearsal_copy` to use; made if absent.
        """
        rehearsal = proof.rehearsal_copy(self.network) if network is None else network
        dead = dead_classes(self.groups, self.classes, kept)
        return proof.check(rehearsal, self.inputs, self.plan(kept), self.trace, self.classes, dead)


def analyse(
    network: nn.Module,
    inputs: Tensor | Sequence[Any],
    *,
    prove: bool = True,
    seed: int = 0,
    progress: Callable[[str], None] | None = None,
) -> Channels:
    """Find the channel groups of any network.

    Args:
        network: the module to trace; it is not changed.
        inputs: what to call it with: one tensor, or a sequence of arguments.
        prove: test every group by cutting it (see `espalier.channels.proof`); groups that fail become rigid.
        seed: of the random cuts that the proof tries.
    """
    arguments = (inputs,) if isinstance(inputs, Tensor) else tuple(inputs)
    say = progress or (lambda _: None)
    say("tracing")
    traced = trace(network, arguments)
    classes = traced.atoms.resolve()
    channels = Channels(network, arguments, traced, classes, find_groups(traced, classes))
    if not prove:
        return channels
    say("proving")
    return _proven(channels, seed)


def random_cut(groups: Iterable[ChannelGroup], rng: np.random.Generator) -> dict[str, list[int]]:
    """A random choice of channels to keep, at least one and not all, equally many in tied groups."""
    counts: dict[int, int] = {}
    kept = {}
    for group in groups:
        count = counts.setdefault(group.tie, int(rng.integers(1, max(2, group.channels))))
        count = min(count, group.channels - 1)
        kept[group.name] = sorted(rng.choice(group.channels, count, replace=False).tolist())
    return kept


def _proven(channels: Channels, seed: int) -> Channels:
    rng = np.random.default_rng(seed)
    rehearsal = proof.rehearsal_copy(channels.network)
    ties: dict[int, list[ChannelGroup]] = defaultdict(list)
    for group in channels.groups:
        if group.status == "unproven":
            ties[group.tie].append(group)
    failures: dict[str, str] = {}

    def fails(units: Sequence[list[ChannelGroup]]) -> str:
        verdict = channels.check(random_cut((g for unit in units for g in unit), rng), rehearsal)
        return verdict.reason

    good = _search(list(ties.values()), fails, failures)
    if failures and good and fails(good):  # each alone is right, together they are not: grow one by one
        good = _grow(good, fails, failures)
    return replace(channels, groups=_with_status(channels, {g.name for u in good for g in u}, failures))


Unit = list[ChannelGroup]


def _search(units: list[Unit], fails: Callable[[Sequence[Unit]], str], failures: dict[str, str]) -> list[Unit]:
    """The units that pass, by bisection."""
    if not units:
        return []
    reason = fails(units)
    if not reason:
        return units
    if len(units) == 1:
        failures.update((group.name, reason) for group in units[0])
        return []
    middle = len(units) // 2
    return _search(units[:middle], fails, failures) + _search(units[middle:], fails, failures)


def _grow(units: list[Unit], fails: Callable[[Sequence[Unit]], str], failures: dict[str, str]) -> list[Unit]:
    good: list[Unit] = []
    for unit in units:
        reason = fails([*good, unit])
        if reason:
            failures.update((group.name, f"only without other groups: {reason}") for group in unit)
        else:
            good.append(unit)
    return good


def _with_status(channels: Channels, good: set[str], failures: Mapping[str, str]) -> tuple[ChannelGroup, ...]:
    parts = [channels.classes.of(f) for f in channels.trace.normalised]
    marked = set(np.concatenate([np.unique(p) for p in parts]).tolist()) if parts else set()
    result = []
    for group in channels.groups:
        if group.name in good:
            status = "normalised" if marked & set(group.classes.tolist()) else "exact"
            group = replace(group, status=status)
        elif group.name in failures:
            group = replace(group, status="rigid", reason=failures[group.name])
        result.append(group)
    return tuple(result)


def sample_inputs(channels: int, height: int, width: int, seed: int = 0) -> Tensor:
    """A random image batch in 0..1 to trace with, shape (1, channels, height, width)."""
    generator = torch.Generator().manual_seed(seed)
    return torch.rand(1, channels, height, width, generator=generator)


__all__ = ["Channels", "analyse", "named_tensors", "random_cut", "sample_inputs"]
