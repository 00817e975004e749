"""What the cost model says of a cut, against counting or watching the network that was cut."""

import numpy as np
import pytest

from espalier.channels.cost import CostModel
from espalier.costs import count, memory
from espalier.costs.model import lr_size_of, model
from espalier.methods.job import cut
from tests import zoo

NAMES = ("edsr", "rnet", "imdn", "carn", "rfdn", "fsrcnn", "srresnet", "vdsr")
SIZE = (48, 64)


def kept_and_shares(name: str, share: float, costs: CostModel) -> tuple[dict[str, list[int]], np.ndarray]:
    """About this share of every unit, and the vector that the model takes."""
    from espalier.channels import units_of

    kept = {}
    for unit in units_of(zoo.channels(zoo.find(name)).prunable):
        level = max(1, round(unit.levels * share))
        for group, number in zip(unit.groups, unit.counts(level), strict=True):
            kept[group.name] = list(range(number))
    sizes = {g.name: g.channels for g in zoo.channels(zoo.find(name)).groups}
    return kept, np.array([len(kept[n]) / sizes[n] if n in kept else 1.0 for n in costs.names])


@pytest.mark.parametrize("share", [0.75, 0.34])
@pytest.mark.parametrize("name", NAMES)
def test_counted_costs_are_exact(name: str, share: float) -> None:
    network, channels = zoo.network(zoo.find(name)).eval(), zoo.channels(zoo.find(name))
    costs = model(network, channels, size=SIZE, kinds=("activations",))
    kept, shares = kept_and_shares(name, share, costs)
    smaller = count(cut(network, channels.plan(kept)), lr_size_of(network.scale, SIZE))
    assert costs.of("activations")(shares) == pytest.approx(smaller.activations, rel=1e-9)
    assert costs.of("macs")(shares) == pytest.approx(smaller.macs, rel=1e-9)
    assert costs.of("params")(shares) == pytest.approx(smaller.params, rel=1e-9)


@pytest.mark.parametrize("share", [0.75, 0.34])
@pytest.mark.parametrize("name", NAMES)
def test_peak_memory_is_what_a_run_of_the_cut_network_needs(name: str, share: float) -> None:
    network, channels = zoo.network(zoo.find(name)).eval(), zoo.channels(zoo.find(name))
    lr_size = lr_size_of(network.scale, SIZE)
    costs = model(network, channels, size=SIZE, kinds=("memory",))
    dense = memory.peak(network, lr_size)
    assert costs.of("memory")(np.ones(len(costs.names))) == pytest.approx(dense.total, rel=0.02)
    kept, shares = kept_and_shares(name, share, costs)
    real = memory.peak(cut(network, channels.plan(kept)), lr_size)
    assert costs.of("memory")(shares) == pytest.approx(real.total, rel=0.03)


def test_what_was_not_asked_for_is_not_there() -> None:
    network = zoo.network(zoo.find("edsr"))
    assert not model(network, zoo.channels(zoo.find("edsr")), size=SIZE).further


def test_sizes_are_of_the_output() -> None:
    assert lr_size_of(4, (720, 1280)) == (180, 320)
    assert lr_size_of(2, None) == (360, 640)
    assert lr_size_of(4, (1, 1)) == (1, 1)
