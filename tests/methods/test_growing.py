"""The engine of growing penalties, by hand and inside the training loop."""

import copy
import signal
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from espalier import training
from espalier.channels import ChannelGroup, Member
from espalier.methods.growing import Decay, Gradient, Growing, Lasso, Moment, kept, length, smallest
from espalier.methods.pace import SHRINK, UNIT, published, within
from espalier.methods.places import everything, filters, is_constrained, makers, scales
from espalier.methods.protocol import Context
from espalier.methods.scales import fold_, pressed, scale_
from espalier.networks.network import Network
from tests import zoo
from tests.methods.jobs import images


def names(members: tuple[Member, ...]) -> list[tuple[str, int]]:
    return [(member.tensor, member.dim) for member in members]


def group_of(name: str, group: str) -> tuple[nn.Module, ChannelGroup]:
    entry = zoo.find(name)
    return zoo.network(entry).body, zoo.channels(entry).group(group)


def test_a_trunk_is_constrained_and_made_by_its_residual_layers() -> None:
    body, trunk = group_of("edsr", "head.0.weight")
    assert is_constrained(body, trunk)
    assert names(makers(body, trunk)) == [
        ("head.0.weight", 0), ("body.0.body.2.weight", 0), ("body.1.body.2.weight", 0), ("body.2.weight", 0),
    ]  # fmt: skip
    assert ("head.0.bias", 0) in names(filters(body, trunk))
    assert ("tail.0.0.weight", 1) not in names(filters(body, trunk))
    assert ("tail.0.0.weight", 1) in names(everything(body, trunk))


def test_a_layer_between_is_free() -> None:
    body, inner = group_of("edsr", "body.0.body.0.weight")
    assert not is_constrained(body, inner)
    assert names(filters(body, inner)) == [("body.0.body.0.weight", 0), ("body.0.body.0.bias", 0)]


def test_norms_are_pressed_with_the_layers_before_them() -> None:
    body, embedding = group_of("SwinIR", "conv_first.weight")
    assert is_constrained(body, embedding)
    assert ("patch_embed.norm.bias", 0) in names(filters(body, embedding))
    assert ("patch_embed.norm.weight", 0) in names(scales(body, embedding))
    assert all(tensor.endswith("weight") for tensor, _ in names(scales(body, embedding)))


def test_depthwise_layers_follow_but_do_not_constrain() -> None:
    entry = zoo.find("bsrn")
    body = zoo.network(entry).body
    depthwise = {
        n for n, m in body.named_modules() if isinstance(m, nn.Conv2d) and m.groups == m.in_channels > 1
    }
    found = [
        group
        for group in zoo.channels(entry).prunable
        if sum(m.tensor.rpartition(".")[0] not in depthwise for m in makers(body, group)) == 1
    ]
    assert any(len(makers(body, group)) > 1 for group in found)
    assert not any(is_constrained(body, group) for group in found)


@pytest.mark.parametrize("name", ["edsr", "fsrcnn", "bsrn", "SwinIR"])
def test_scales_begin_as_norms_and_fold_back(name: str) -> None:
    entry = zoo.find(name)
    network, x = zoo.network(entry), zoo.image(entry)
    before, state = network(x), {k: v.clone() for k, v in network.state_dict().items()}
    members = [m for g in zoo.channels(entry).prunable for m in makers(network.body, g)]
    layers = scale_(network.body, {m.tensor: m for m in members}.values())
    assert layers
    assert torch.allclose(network(x), before, atol=1e-5)
    first = next(m for m in members if m.tensor.rpartition(".")[0] == layers[0])
    rows = state[f"body.{first.tensor}"].movedim(first.dim, 0).flatten(1).norm(dim=1)
    assert torch.allclose(pressed(network.body, first).flatten(), rows)
    fold_(network.body, layers)
    assert network.state_dict().keys() == state.keys()
    assert all(torch.allclose(v, state[k], atol=1e-6) for k, v in network.state_dict().items())


class Two(nn.Module):
    """Two layers whose outputs are added."""

    def __init__(self) -> None:
        super().__init__()
        self.a, self.b = nn.Linear(2, 3), nn.Linear(2, 3, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        return self.a(x) + self.b(x)


ROWS = np.arange(3)[:, None]
GROUP = ChannelGroup(
    "a.weight",
    3,
    (Member("a.weight", 0, ROWS), Member("a.bias", 0, ROWS), Member("b.weight", 0, ROWS)),
    ROWS[:, 0],
    0,
)


def context(network: nn.Module) -> Context:
    return Context(network, 10, 0, 0, 1, lambda _: None)


def started(network: nn.Module, method: Growing) -> Growing:
    method.start(context(network))
    method.ready(context(network))
    return method


def only_last(moment: Moment) -> tuple[Tensor, Tensor]:
    going = torch.tensor([False, False, True])
    return moment.penalty + 0.1 * going, going


@pytest.mark.parametrize("scaled", [False, True])
def test_the_penalty_joins_the_gradient_of_what_is_to_go(scaled: bool) -> None:
    network = Two()
    method = started(
        network, Growing([GROUP], only_last, places=filters, press=Gradient(), interval=2, scaled=scaled)
    )
    for step in range(3):  # updates at 0 and 2
        method.before_step(step)
    network(torch.ones(1, 2)).sum().backward()
    weights = [pressed(network, member) for member in GROUP.members]
    plain = [weight.grad.clone() for weight in weights if weight.grad is not None]
    method.after_backward(2)
    assert len(plain) == 3
    for weight, before in zip(weights, plain):
        assert weight.grad is not None
        change = weight.grad - before
        assert torch.allclose(change[2], 0.2 * weight[2].detach(), atol=1e-7)
        assert not change[:2].any()


def test_decay_and_lasso() -> None:
    network = Two()
    weight = network.a.weight.detach().clone()
    method = started(network, Growing([GROUP], only_last, places=filters, press=Decay()))
    method.before_step(0)
    method.after_step(0)
    assert torch.allclose(network.a.weight[2], weight[2] * torch.tensor(-0.1).exp())
    assert torch.equal(network.a.weight[:2], weight[:2])
    network.a.weight.grad = torch.ones_like(network.a.weight)
    Decay(0.1).on_gradient(network.a.weight, torch.tensor([[0.0], [0.05], [0.1]]))
    assert network.a.weight.grad[:, 0].tolist() == [1.0, 1.0, 0.0]  # at the ceiling the loss has no say
    network.b.weight.grad = torch.zeros_like(network.b.weight)
    Lasso().on_gradient(network.b.weight, torch.tensor([[0.0], [0.0], [0.5]]))
    assert torch.equal(network.b.weight.grad[2], 0.5 * network.b.weight[2].sign())


def test_lengths_of_channels_with_several_rows() -> None:
    weight = torch.tensor([[3.0, 4.0], [0.0, 0.0], [1.0, 0.0], [0.0, 1.0]])
    member = Member("w", 0, np.array([[0, 1], [2, 3]]))
    assert torch.allclose(length(weight, member), torch.tensor([12.5**0.5, 1.0]))


def test_the_smallest_and_what_stays() -> None:
    marks = smallest(torch.tensor([2.0, 1.0, 1.0, 3.0]), 2)
    assert marks.tolist() == [False, True, True, False]
    assert kept([GROUP], {"a.weight": torch.tensor([False, True, False])}) == {"a.weight": [0, 2]}
    assert kept([GROUP], {}) == {}


@pytest.mark.parametrize("steps", [1, 2, 4, 10, 137, 1000])
def test_a_short_schedule_has_the_proportions_of_the_published_one(steps: int) -> None:
    like = published(align=17_260, hold=43_150)
    assert (like.grow, like.steps) == (100_000, 160_410)
    assert like.ceiling == 0.5 * UNIT
    short = within(steps, like)
    assert short.steps == max(steps, short.grow)
    updates = [
        min(k + 1, round(short.ceiling / short.delta)) for k in range(-(-short.grow // short.interval))
    ]
    assert sum(updates) * short.delta * short.interval == pytest.approx(SHRINK)
    if steps >= 100:
        assert short.grow / steps == pytest.approx(like.grow / like.steps, abs=0.01)


class Interrupting(Growing):
    """Stops with Ctrl-C before a step."""

    stop_at = -1

    def before_step(self, step: int) -> None:
        super().before_step(step)
        if step == self.stop_at:
            signal.raise_signal(signal.SIGINT)


def growing(stop_at: int = -1) -> Interrupting:
    """Penalties that depend on the way here: on sizes, and on what was chosen before."""

    def rule(moment: Moment) -> tuple[Tensor, Tensor]:
        going = smallest(moment.sizes[0], 4) if moment.going is None else moment.going
        return moment.penalty + 0.01 * going * moment.sizes.mean(0), going

    groups = zoo.channels(zoo.find("edsr")).prunable
    method = Interrupting(groups, rule, places=filters, press=Gradient(), interval=3, scaled=True)
    method.stop_at = stop_at
    return method


def trained(run: Path | None, method: Growing, resume: bool = False) -> dict[str, Tensor]:
    network = zoo.network(zoo.find("edsr"))
    settings = training.TrainSettings(steps=12, batch=2, patch=12, save_every=4, lr=1e-3)
    training.fit(network, images(2), settings, method=method, run=run, resume=resume, progress=False)
    return network.state_dict() | {f"penalty {k}": v for k, v in method.penalties.items()}


def test_a_run_that_was_interrupted_goes_on_bit_for_bit(tmp_path: Path) -> None:
    whole = trained(tmp_path / "whole", growing())
    with pytest.raises(training.Interrupted):
        trained(tmp_path / "run", growing(stop_at=7))
    again = trained(tmp_path / "run", growing(), resume=True)
    assert whole.keys() == again.keys()
    assert all(torch.equal(whole[name], again[name]) for name in whole)
    assert any(bool(v.any()) for k, v in whole.items() if k.startswith("penalty"))


def test_what_is_told_of_it() -> None:
    network = Two()
    method = started(network, Growing([GROUP], only_last, places=filters, press=Decay()))
    method.before_step(0)
    assert method.facts()["penalty"] == pytest.approx(0.1)
    assert method.facts()["largest going"] == pytest.approx(
        float((network.a.weight[2].norm() + network.b.weight[2].norm()).detach() / 2)
    )
    copied = Growing([GROUP], only_last, places=filters, press=Decay())
    copied.load_state_dict(copy.deepcopy(method.state_dict()))
    assert torch.equal(copied.penalties["a.weight"], method.penalties["a.weight"])


def test_every_group_of_the_zoo_has_something_to_press() -> None:
    for name in ("edsr", "rnet", "srresnet", "fsrcnn", "bsrn", "SwinIR"):
        network: Network = zoo.network(zoo.find(name))
        for group in zoo.channels(zoo.find(name)).prunable:
            assert filters(network.body, group), group.name
