"""Growing regularisation: the one set of hooks behind SRP, ASSL, HAIR, GReg and our own guided pruning.

Every channel of every group has a penalty a (1/2 a |w|^2 over what the channel owns). A rule says how the
penalties change at each update and which channels are to go; a press says how they move the weights.
Wang et al., "Neural Pruning via Growing Regularization", ICLR 2021.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from espalier.channels import ChannelGroup, Member
from espalier.methods.places import Places, is_constrained, judged
from espalier.methods.protocol import Context, Idle
from espalier.methods.scales import fold_, pressed, scale_
from espalier.networks.network import body_of


@dataclass(frozen=True)
class Moment:
    """What a rule is told of one group at one update."""

    step: int
    group: ChannelGroup
    constrained: bool
    penalty: Tensor
    """(channels,)"""
    going: Tensor | None
    """(channels,) of bool: those that are to go; none while that is open."""
    sizes: Tensor
    """(layers that make the channels, channels): lengths of rows, root mean square where a channel has several."""


Change = tuple[Tensor, Tensor | None]
"""Penalties and channels to go from here on."""
Rule = Callable[[Moment], Change]


class Press(Protocol):
    """How a penalty moves weights; `penalty` is laid out to be multiplied with them."""

    def on_gradient(self, weight: nn.Parameter, penalty: Tensor) -> None: ...

    def on_weight(self, weight: nn.Parameter, penalty: Tensor) -> None: ...


class Gradient:
    """The penalty's gradient is added to the loss's, before Adam rescales both."""

    def on_gradient(self, weight: nn.Parameter, penalty: Tensor) -> None:
        if weight.grad is not None:
            weight.grad.add_(penalty * weight.detach())

    def on_weight(self, weight: nn.Parameter, penalty: Tensor) -> None:
        pass


@dataclass(frozen=True)
class Decay:
    """Weights shrink by exp(-penalty) after each step, without Adam, which moves none by more than its rate."""

    ceiling: float = math.inf
    """Penalty from which the loss no longer moves them: it would push each weight back by Adam's rate."""

    def on_gradient(self, weight: nn.Parameter, penalty: Tensor) -> None:
        if weight.grad is not None and bool((penalty >= 0.999 * self.ceiling).any()):
            weight.grad.mul_(penalty < 0.999 * self.ceiling)

    def on_weight(self, weight: nn.Parameter, penalty: Tensor) -> None:
        weight.mul_((-penalty).exp())


class Lasso:
    """The gradient of penalty * |w|."""

    def on_gradient(self, weight: nn.Parameter, penalty: Tensor) -> None:
        if weight.grad is not None:
            weight.grad.add_(penalty * weight.detach().sign())

    def on_weight(self, weight: nn.Parameter, penalty: Tensor) -> None:
        pass


class Growing(Idle):
    """Penalties on the channels of groups, by a rule, every `interval` steps."""

    def __init__(
        self,
        groups: Sequence[ChannelGroup],
        rule: Rule,
        *,
        places: Places,
        press: Press,
        interval: int = 1,
        scaled: bool = False,
        going: Mapping[str, Tensor] | None = None,
    ) -> None:
        """`scaled`: with weight normalisation, so that sizes are scales; `going`: channels that are chosen already."""
        self.groups, self.rule, self.places, self.press = groups, rule, places, press
        self.interval, self.scaled = interval, scaled
        self.penalties = {group.name: torch.zeros(group.channels) for group in groups}
        self.going: dict[str, Tensor] = dict(going or {})
        self.layers: list[str] = []

    def start(self, context: Context) -> None:
        self.body = body_of(context.network)
        self.touched = {g.name: self.places(self.body, g) for g in self.groups}
        self.makers = {g.name: judged(self.body, g) for g in self.groups}
        self.constrained = {g.name for g in self.groups if is_constrained(self.body, g)}
        if self.scaled:
            members = {m.tensor: m for g in self.groups for m in self.makers[g.name]}
            self.layers = scale_(self.body, members.values())

    def ready(self, context: Context) -> None:
        device = next(context.network.parameters()).device
        for memory in (self.penalties, self.going):
            memory.update({name: value.to(device) for name, value in memory.items()})
        self.spread = self._spread()

    def before_step(self, step: int) -> None:
        if step % self.interval == 0:
            self.update(step)

    def update(self, step: int) -> None:
        """Ask the rule about every group."""
        for group in self.groups:
            name = group.name
            moment = Moment(
                step,
                group,
                name in self.constrained,
                self.penalties[name],
                self.going.get(name),
                self.lengths(group).detach(),
            )
            self.penalties[name], going = self.rule(moment)
            if going is not None:
                self.going[name] = going
        self.spread = self._spread()

    def lengths(self, group: ChannelGroup) -> Tensor:
        """Of the rows that make each channel, (layers, channels); differentiable."""
        return torch.stack([length(pressed(self.body, m), m) for m in self.makers[group.name]])

    @torch.no_grad()
    def after_backward(self, step: int) -> None:
        del step
        for weight, penalty in self.spread:
            self.press.on_gradient(weight, penalty)

    @torch.no_grad()
    def after_step(self, step: int) -> None:
        del step
        for weight, penalty in self.spread:
            self.press.on_weight(weight, penalty)

    def finish(self) -> None:
        fold_(self.body, self.layers)

    def facts(self) -> Mapping[str, float]:
        left = [
            self.lengths(g).detach().mean(0)[self.going[g.name]] for g in self.groups if g.name in self.going
        ]
        strongest = max((float(p.max()) for p in self.penalties.values()), default=0.0)
        largest = max((float(size.max()) for size in left if size.numel()), default=0.0)
        return {"penalty": strongest, "largest going": largest}

    def state_dict(self) -> dict[str, Any]:
        return {"penalties": dict(self.penalties), "going": dict(self.going)}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        self.penalties, self.going = dict(state["penalties"]), dict(state["going"])

    def _spread(self) -> list[tuple[nn.Parameter, Tensor]]:
        """Parameters and the penalties on them, laid out along the axis that they act on."""
        rows: dict[tuple[int, int], tuple[nn.Parameter, Tensor]] = {}
        for group in self.groups:
            for member in self.touched[group.name]:
                weight = pressed(self.body, member)
                row = rows.setdefault(
                    (id(weight), member.dim), (weight, weight.new_zeros(weight.shape[member.dim]))
                )
                row[1][positions(member, weight)] = self.penalties[group.name][:, None].to(row[1])
        return [
            (w, row.view([-1 if d == dim else 1 for d in range(w.ndim)]))
            for (_, dim), (w, row) in rows.items()
        ]


def kept(groups: Sequence[ChannelGroup], going: Mapping[str, Tensor]) -> dict[str, list[int]]:
    """Group -> the channels that stay, for a plan; groups that lose none are left out."""
    return {
        group.name: (~going[group.name]).nonzero().flatten().tolist()
        for group in groups
        if group.name in going and bool(going[group.name].any())
    }


def length(weight: Tensor, member: Member) -> Tensor:
    """Of what each channel owns of this axis, (channels,); root mean square where that is several rows."""
    others = [d for d in range(weight.ndim) if d != member.dim]
    squares = weight.square().sum(others) if others else weight.square()
    owned = squares[positions(member, weight)]
    return owned.mean(1).clamp(min=torch.finfo(weight.dtype).tiny).sqrt()


def positions(member: Member, like: Tensor) -> Tensor:
    return torch.from_numpy(member.positions).to(like.device)


def smallest(sizes: Tensor, count: int) -> Tensor:
    """Mark the `count` smallest of (channels,); of equal ones the first."""
    marks = torch.zeros(len(sizes), dtype=torch.bool, device=sizes.device)
    marks[sizes.argsort(stable=True)[:count]] = True
    return marks
