"""The rehearsal of cuts: the network is left as it was; float64; a smaller image where that shows the same."""

from collections import Counter
from contextlib import suppress

import pytest
import torch
from torch import Tensor, nn

from espalier.channels import analyse, sample_inputs
from espalier.channels.rehearsal import Doubles, Rehearsal
from espalier.channels.trace import trace
from tests.channels.micro import conv


class Remembers(nn.Module):
    """Keeps something of every run, in ways that a next run would see."""

    def __init__(self) -> None:
        super().__init__()
        self.head, self.tail, self.size = conv(3, 8), conv(8, 3), 8
        self.cache: dict[str, Tensor] = {}
        self.register_buffer("seen", torch.zeros(1))

    def forward(self, x: Tensor) -> Tensor:
        y = self.head(x.float())  # asks for less than float64
        self.cache.setdefault("scale", torch.ones(self.size, 1, 1))
        self.seen.add_(1)
        self.last = y
        return self.tail(y * self.cache["scale"])


def test_a_trial_leaves_no_trace() -> None:
    with Rehearsal(Remembers(), (sample_inputs(3, 8, 8),)) as rehearsal:
        before = {name: value.clone() for name, value in rehearsal.network.state_dict().items()}
        with rehearsal.trial() as network:
            network.size = 4
            network.head.weight.data = network.head.weight.data[:4] + 1
            network.seen += 5
            network.cache["scale"] = torch.zeros(1)
            network.fresh = 1
        after = rehearsal.network
        assert (after.size, after.cache, hasattr(after, "fresh")) == (8, {}, False)
        assert all(torch.equal(value, before[name]) for name, value in after.state_dict().items())


def test_afterwards_the_network_is_what_it_was() -> None:
    network = Remembers().train()
    nn.init.zeros_(network.head.bias)  # constant, so it is random meanwhile
    before = {name: value.clone() for name, value in network.state_dict().items()}
    with suppress(KeyboardInterrupt), Rehearsal(network, (sample_inputs(3, 8, 8),)) as rehearsal:
        assert not network.training
        assert all(value.dtype == torch.float64 for value in network.state_dict().values())
        assert network.head.bias.any()
        rehearsal.run()
        raise KeyboardInterrupt
    assert network.training
    assert network.cache == {}
    after = network.state_dict()
    assert {name: value.dtype for name, value in after.items()} == dict.fromkeys(before, torch.float32)
    assert all(torch.equal(value, before[name]) for name, value in after.items())


def test_gradients_neither_disturb_nor_are_lost() -> None:
    network = nn.Sequential(conv(3, 8), nn.ReLU(), conv(8, 3))
    network(sample_inputs(3, 8, 8)).sum().backward()
    before = {name: p.grad.clone() for name, p in network.named_parameters() if p.grad is not None}
    assert len(before) == 4
    assert analyse(network, sample_inputs(3, 8, 8)).share > 0.9
    for name, parameter in network.named_parameters():
        assert parameter.grad is not None
        assert torch.equal(parameter.grad, before[name])


def test_what_fails_at_the_beginning_leaves_no_trace(monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(_: nn.Module) -> None:
        raise MemoryError

    network = Remembers()
    monkeypatch.setattr(network, "eval", lambda: fails(network))
    with pytest.raises(MemoryError), Rehearsal(network, (sample_inputs(3, 8, 8),)):
        pass
    assert {value.dtype for value in network.state_dict().values()} == {torch.float32}


def test_runs_are_in_double_whatever_the_code_asks_for() -> None:
    with Rehearsal(Remembers(), (sample_inputs(3, 8, 8),)) as rehearsal, rehearsal.trial():
        assert [t.dtype for t in rehearsal.run()] == [torch.float64]


def test_what_a_run_leaves_on_the_network_does_not_reach_the_next_trial() -> None:
    assert {g.name: g.status for g in analyse(Remembers(), sample_inputs(3, 8, 8)).groups}[
        "head.weight"
    ] == "exact"


def shrunk(network: nn.Module, height: int, width: int) -> tuple[int, int]:
    inputs = (sample_inputs(3, height, width),)
    with Rehearsal(network, inputs, trace(network, inputs).calls) as rehearsal:
        rehearsal.settle(lambda _: None, lambda _: Doubles())
    return tuple(rehearsal.inputs[0].shape[2:])


def test_a_smaller_image_is_taken_where_it_runs_the_same_operators() -> None:
    assert shrunk(nn.Sequential(conv(3, 8), conv(8, 3)), 48, 64) == (6, 8)
    assert shrunk(nn.Sequential(conv(3, 8), nn.AvgPool2d(24), conv(8, 3)), 48, 64) == (24, 32)
    assert shrunk(nn.Sequential(conv(3, 8), conv(8, 3)), 10, 64) == (10, 64)


def test_an_image_that_takes_another_way_is_not_taken() -> None:
    class Branches(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.small, self.large = conv(3, 3), nn.Sequential(conv(3, 8), nn.ReLU(), conv(8, 3))

        def forward(self, x: Tensor) -> Tensor:
            return self.large(x) if x.shape[-1] > 40 else self.small(x)

    assert shrunk(Branches(), 48, 64) == (48, 64)
    assert Counter(["convolution"]) != trace(Branches(), (sample_inputs(3, 48, 64),)).calls
