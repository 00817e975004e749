import time

import pytest
import torch
from torch import Tensor, nn

from espalier.costs.latency import measure
from espalier.errors import NetworkError
from tests.costs.networks import Plain, network


class Sleeping(nn.Module):
    """Takes a known time and writes down when it ran."""

    def __init__(self, name: str, seconds: float, diary: list[str]) -> None:
        super().__init__()
        self.name, self.seconds, self.diary = name, seconds, diary

    def forward(self, x: Tensor) -> Tensor:
        assert not self.training
        assert not torch.is_grad_enabled()
        time.sleep(self.seconds)
        self.diary.append(self.name)
        return x.repeat_interleave(2, 2).repeat_interleave(2, 3)


def test_networks_take_turns():
    diary: list[str] = []
    networks = {name: network(Sleeping(name, 0, diary)) for name in "abc"}
    result = measure(networks, (2, 2), runs=4, warmup=1)
    assert "".join(diary) == "abc" + "abc" + "bca" + "cab" + "abc"
    assert [latency.runs for latency in result.values()] == [4, 4, 4]
    assert all(net.training for net in networks.values())


def test_times_are_milliseconds():
    result = measure({"slow": network(Sleeping("slow", 0.02, []))}, (2, 2), runs=5, warmup=0)["slow"]
    assert 20 <= result.median < 200
    assert result.quarters[0] <= result.median <= result.quarters[1]
    assert result.spread == result.quarters[1] - result.quarters[0]
    assert result.to_dict()["ms"] == result.median
    assert result.device == "cpu"
    assert result.threads == torch.get_num_threads()


def test_seconds_end_it_early_but_not_before_three_rounds():
    result = measure({"slow": network(Sleeping("slow", 0.01, []))}, (2, 2), runs=50, warmup=0, seconds=0)
    assert result["slow"].runs == 3


def test_a_wider_network_is_slower():
    networks = {name: network(Plain(width=width)) for name, width in (("narrow", 4), ("wide", 256))}
    result = measure(networks, (64, 64), runs=5)
    assert result["wide"].median > 2 * result["narrow"].median


def test_one_run_has_no_spread():
    assert measure({"one": network(Plain())}, (4, 4), runs=1, warmup=0)["one"].spread == 0


def test_sizes_are_agreed_or_given():
    networks = {"two": network(Plain(2), 2), "four": network(Plain(4), 4)}
    with pytest.raises(NetworkError, match=r"scales \[2, 4\]"):
        measure(networks)
    assert measure(networks, (8, 8), runs=1)["four"].input_size == (8, 8)
    with pytest.raises(NetworkError, match="none"):
        measure({})
