import gc

import pytest
import torch

from espalier.costs.memory import peak
from espalier.networks.load import load
from tests.costs.networks import Deciding, Plain, network


def test_by_hand():
    memory = peak(network(Plain(width=32)), (10, 10))
    # the worst moment is the ReLU: its input and output, and the network's copy of the image
    assert memory.activations == 4 * 100 * (32 + 32 + 3)
    assert memory.weights == 4 * (3 * 32 * 9 + 32 + 32 * 12 * 9)
    assert memory.total == memory.activations + memory.weights
    assert memory.to_dict()["memory"] == memory.total


def test_the_default_size_runs_without_that_memory():
    memory = peak(network(Plain(width=4096)))
    assert memory.input_size == (360, 640)
    assert memory.activations > 4 * 4096 * 2 * 360 * 640


def test_with_and_without_values_agree():
    assert peak(network(Deciding()), (12, 9)).activations == peak(network(Plain()), (12, 9)).activations


def test_memory_grows_with_the_area():
    net = load("edsr(scale=2, blocks=2, channels=16)")
    small, large = (peak(net, size).activations for size in ((32, 32), (64, 64)))
    assert large == 4 * small


def test_storages_are_not_kept_alive():
    net = network(Plain())
    for _ in range(2):
        peak(net, (8, 8))
        gc.collect()
    assert peak(net, (8, 8)) == peak(net, (8, 8))


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_cuda_is_near_the_sum_of_tensors():
    net = network(Plain(width=32))
    by_tensors = peak(net, (256, 256), "cpu").activations
    measured = peak(net, (256, 256), "cuda").activations
    assert measured == pytest.approx(by_tensors, rel=0.5)
