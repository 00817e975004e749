import numpy as np
import torch

from espalier.methods import srp
from espalier.methods.places import is_constrained
from tests import zoo
from tests.methods.jobs import job


def test_shared_channels_go_at_random_and_others_by_their_size() -> None:
    entry = zoo.find("edsr")
    body, groups = zoo.network(entry).body, zoo.channels(entry).prunable
    sizes = {group.name: np.arange(group.channels, 0.0, -1.0) for group in groups}
    counts = {group.name: 5 for group in groups}
    first, second = (srp.chosen(body, groups, counts, sizes, seed) for seed in (0, 1))
    for group in groups:
        assert int(first[group.name].sum()) == 5
        if is_constrained(body, group):
            assert not torch.equal(first[group.name], second[group.name])
        else:
            assert first[group.name].nonzero().flatten().tolist() == [7, 8, 9, 10, 11]


def test_what_is_pressed_out_is_what_was_chosen() -> None:
    asked = job("srp", zoo.find("edsr"), options={"steps": 40})
    body, groups = asked.network.body, asked.channels.prunable
    going = srp.chosen(
        body, groups, {g.name: 4 for g in groups}, {g.name: np.arange(12.0) for g in groups}, 0
    )
    pruned = srp.pressed_out(asked, groups, going, srp.pace(asked.options, srp.PAPER), {"l1": 1.0})
    for choice in pruned.plans[-1].choices:
        assert list(choice.kept) == (~going[choice.group]).nonzero().flatten().tolist()
