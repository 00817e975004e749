"""The trace itself: unknown operators, unused tensors, training, extra inputs."""

import gc

import pytest
import torch
from torch import Tensor, nn

from espalier.channels import add_rule, analyse, sample_inputs
from espalier.channels.rules import RULES
from espalier.channels.rules.elementwise import elementwise
from espalier.channels.trace import trace
from tests.channels.micro import WHOLE, Between, between, conv, summary


def test_tied_weights_are_one_tensor() -> None:
    shared = conv(8, 8)
    channels = between(lambda n, x: n.second(n.first(x).relu()), first=shared, second=shared)
    assert summary(channels) == WHOLE
    names = {m.tensor for m in channels.group("head.weight").members}
    assert {"first.weight", "second.weight"} <= names


@torch.library.custom_op("espalier_tests::mystery", mutates_args=())
def mystery(x: Tensor) -> Tensor:
    """An operator that nothing knows about."""
    return x.flip(1) + 0


def test_an_unknown_operator_pins_what_it_touches_and_is_named_with_the_line() -> None:
    channels = between(lambda n, x: mystery(n.inner(x)), out=5, inner=conv(8, 5))
    assert summary(channels) == WHOLE | {"inner.weight": (5, "pinned"), "tail.weight:1": (5, "pinned")}
    (unknown,) = channels.unknown
    assert unknown.operator == "espalier_tests::mystery"
    assert "test_trace.py:" in unknown.line
    assert "CONTRIBUTING.md" in str(unknown)
    assert "espalier_tests::mystery" in channels.group("inner.weight").reason


def test_a_rule_can_be_added(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(RULES, "placeholder", elementwise)  # restores the table's other keys are untouched
    monkeypatch.delitem(RULES, "placeholder")
    add_rule("espalier_tests::friendly", elementwise)
    try:
        channels = between(lambda _, x: friendly(x))
    finally:
        del RULES["espalier_tests::friendly"]
    assert summary(channels) == WHOLE


@torch.library.custom_op("espalier_tests::friendly", mutates_args=())
def friendly(x: Tensor) -> Tensor:
    return x * 2


def test_what_the_run_never_used_stays_whole() -> None:
    channels = between(lambda _, x: x, spare=conv(8, 8))
    assert summary(channels)["spare.weight"] == (8, "pinned")
    assert "not used" in channels.group("spare.weight").reason


def test_experts_that_only_training_runs_follow_the_stream() -> None:
    class Choice(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.left, self.right = conv(8, 8), conv(8, 8)

        def forward(self, x: Tensor) -> Tensor:
            if self.training:
                return self.left(x) + self.right(x)
            return self.left(x) if bool(x.mean() < 1e9) else self.right(x)

    channels = between(lambda n, x: n.choice(x), choice=Choice())
    names = {m.tensor for m in channels.group("head.weight").members}
    assert {"choice.left.weight", "choice.right.weight"} <= names


def test_tracing_leaves_modes_inputs_and_hooks_alone() -> None:
    network = Between(lambda _, x: x.mul_(2), norm=nn.BatchNorm2d(8)).double()
    network.norm.eval()
    image = sample_inputs(3, 6, 8).double()
    before = image.clone()
    analyse(network, image)
    assert network.training
    assert not network.norm.training
    assert torch.equal(image, before)
    assert not network.tail._forward_hooks
    assert not network.tail._forward_pre_hooks


def test_extra_inputs_are_passed_on() -> None:
    class TwoInputs(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.head, self.tail = conv(3, 8), conv(8, 3)

        def forward(self, x: Tensor, strength: Tensor, *, twice: bool = False) -> Tensor:
            return self.tail(self.head(x) * strength) * (2 if twice else 1)

    channels = analyse(TwoInputs(), (sample_inputs(3, 6, 8), torch.tensor(0.5)))
    assert [g.name for g in channels.prunable] == ["head.weight"]


def test_a_rule_that_fails_pins_what_it_touches_and_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(RULES, "tanh", lambda call: call.args[7])
    channels = between(lambda n, x: n.inner(x).tanh(), out=5, inner=conv(8, 5))
    assert summary(channels) == WHOLE | {"inner.weight": (5, "pinned"), "tail.weight:1": (5, "pinned")}
    assert "an unforeseen use of the operator aten::tanh" in str(channels.unknown[0])


def test_a_mask_that_a_run_does_not_need_costs_no_second_run() -> None:
    class Buffered(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv = conv(8, 8)
            self.register_buffer("mask", torch.zeros(64, 64))

        def forward(self, x: Tensor) -> Tensor:
            runs.append(x.shape)
            return self.conv(x)

    runs: list[torch.Size] = []
    analyse(Between(lambda n, x: n.inner(x), inner=Buffered()), sample_inputs(3, 6, 8), prove=False)
    assert len(runs) == 1


class Attends(nn.Module):
    """Scores divided by the root of the width, remembered or read off the shape."""

    def __init__(self, remembers: bool) -> None:
        super().__init__()
        self.scale = 6**-0.5 if remembers else 0.5

    def forward(self, x: Tensor) -> Tensor:
        scale = self.scale if self.scale != 0.5 else x.shape[-1] ** -0.5
        return ((x @ x.transpose(-1, -2)) * scale).softmax(-1) @ x


@pytest.mark.parametrize("remembers", [True, False])
def test_a_factor_read_off_a_shape_is_told_from_one_that_a_module_remembers(remembers: bool) -> None:
    network = nn.Sequential(nn.Linear(5, 6), Attends(remembers), nn.Linear(6, 5))
    assert trace(network, [torch.rand(1, 7, 5)]).rescales is not remembers
    assert analyse(network, torch.rand(1, 7, 5)).group("0.weight").proven


def test_the_collector_rests_during_an_analysis_and_wakes_after_it() -> None:
    heard = []
    network = nn.Sequential(conv(3, 4), conv(4, 3))
    network[0].register_forward_hook(lambda *_: heard.append(gc.isenabled()))
    analyse(network, sample_inputs(3, 8, 8))
    assert heard
    assert not any(heard)
    assert gc.isenabled()
