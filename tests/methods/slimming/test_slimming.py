from dataclasses import replace

import pytest

from espalier.costs import count
from espalier.errors import PlanError
from espalier.methods import slimming
from espalier.methods.places import scales
from tests import zoo
from tests.methods.jobs import job, states_after


def test_scales_shrink_and_the_budget_is_met() -> None:
    entry = zoo.find("srresnet")
    sums = []
    for strength in (0.0, 0.1):
        asked = job("slimming", entry, options={"steps": 8, "strength": strength})
        train, seen = states_after(asked.train)
        spied = replace(asked, train=train)
        assert count(slimming.prune(spied)).macs <= 0.6 * count(asked.network).macs
        state = seen[0].body.state_dict()
        names = {m.tensor for g in asked.channels.prunable for m in scales(seen[0].body, g)}
        assert names
        sums.append(sum(float(state[name].abs().sum()) for name in names))
    assert sums[1] < sums[0]


def test_slopes_of_prelu_are_no_scales() -> None:
    entry = zoo.find("fsrcnn")
    body = zoo.network(entry).body
    assert not any(scales(body, group) for group in zoo.channels(entry).prunable)


def test_a_network_without_norms_is_refused() -> None:
    with pytest.raises(PlanError, match=r"needs norms with scales.*take assl"):
        slimming.prune(job("slimming", zoo.find("edsr")))
