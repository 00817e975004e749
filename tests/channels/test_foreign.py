"""Networks of kinds that the rules were not written for: traced, cut, proven and reloaded without a hint."""

from pathlib import Path

import pytest
import torch

from espalier.channels import analyse, sample_inputs, units_of
from espalier.networks.file import save
from espalier.networks.load import load
from espalier.surgery import apply_
from tests import foreign, zoo

NETWORKS = pytest.mark.parametrize("entry", foreign.NETWORKS, ids=lambda e: e.reference.partition(":")[2])


@NETWORKS
def test_foreign_networks_are_cut_and_proven_and_reload(entry: foreign.Foreign, tmp_path: Path) -> None:
    torch.manual_seed(0)
    network = load(entry.reference)
    channels = analyse(network.body, sample_inputs(3, 8, 12))
    assert channels.unknown == []
    assert channels.share >= entry.share, {g.name: g.reason for g in channels.groups if not g.proven}
    kept = zoo.any_cut(units_of(channels.prunable), seed=3)
    assert channels.check(kept).reason == ""
    network.plans = (channels.plan(kept),)
    apply_(network.body, network.plans[0])
    save(network, tmp_path / "cut.safetensors")
    image = sample_inputs(3, 16, 16, seed=2)  # another size than it was traced with
    with torch.no_grad():
        found = network(image)
        assert torch.equal(load(tmp_path / "cut.safetensors")(image), found)
    assert found.shape == (1, 3, 32, 32)
