"""The analytic cost against the counted cost of the network cut indeed."""

import copy

import numpy as np
import pytest
from torch import nn

from espalier.channels import Channels, units_of
from espalier.costs import count
from espalier.networks.network import Network
from espalier.surgery import apply_
from tests import zoo

NAMES = [entry for entry in zoo.CONVOLUTIONAL if entry.name not in ("drln", "RealCUGAN")]


def cut(network: Network, channels: Channels, kept: dict[str, list[int]]) -> Network:
    slim = copy.deepcopy(network)
    apply_(slim.body, channels.plan(kept))
    return slim


def fractions(channels: Channels, kept: dict[str, list[int]]) -> np.ndarray:
    sizes = {group.name: group.channels for group in channels.groups}
    return np.array([len(kept[n]) / sizes[n] if n in kept else 1.0 for n in channels.cost.names])


@zoo.each(NAMES)
def test_parameters_and_macs_of_a_cut_network(entry: zoo.Entry) -> None:
    channels, network = zoo.channels(entry), zoo.network(entry)
    model = channels.cost.at_size(macs_by_layer(network, entry.size))
    whole = np.ones(len(model.names))
    dense = count(network, entry.size)
    assert model.params(whole) == dense.params
    assert model.macs(whole) == pytest.approx(dense.macs)
    for seed in (1, 2):
        kept = zoo.any_cut(units_of(channels.prunable), seed)
        found = count(cut(network, channels, kept), entry.size)
        assert model.params(fractions(channels, kept)) == pytest.approx(found.params)
        assert model.macs(fractions(channels, kept)) == pytest.approx(found.macs)


def macs_by_layer(network: nn.Module, size: tuple[int, int]) -> dict[str, float]:
    return {layer.name: layer.macs for layer in count(network, size).layers}  # type: ignore[arg-type]


@pytest.mark.parametrize("name", ["edsr", "imdn", "SwinIR"])
def test_the_model_scales_to_another_image_size(name: str) -> None:
    entry = zoo.find(name)
    channels, network = zoo.channels(entry), zoo.network(entry)
    large = (2 * entry.size[0], 2 * entry.size[1])
    model = channels.cost.at_size(macs_by_layer(network, large))
    kept = zoo.any_cut(units_of(channels.prunable), 3)
    found = count(cut(network, channels, kept), large)
    assert model.macs(fractions(channels, kept)) == pytest.approx(found.macs, rel=1e-6)


def test_cost_falls_with_every_channel() -> None:
    channels = zoo.channels(zoo.find("imdn"))
    model = channels.cost
    whole = np.ones(len(model.names))
    for k, name in enumerate(model.names):
        less = whole.copy()
        less[k] = 0.5
        prunable = channels.group(name).proven
        assert not prunable or model.params(less) < model.params(whole)
