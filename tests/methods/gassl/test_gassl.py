import numpy as np
import pytest
import torch

from espalier.costs import count
from espalier.methods import gassl
from espalier.methods.gassl.hair import PAPER, levels, responses, selecting
from espalier.methods.pace import UNIT
from espalier.methods.removal import AFTER, BEFORE
from espalier.methods.widths import going_counts
from tests import zoo
from tests.methods.jobs import Trainer, job


def test_a_shared_group_loses_what_its_layers_lose_on_average() -> None:
    found = levels(
        {"trunk": torch.tensor([[1.0, 4.0, 6.0], [2.0, 3.0, 9.0]]), "free": torch.tensor([[5.0, 1.0]])}
    )
    assert found["trunk"].tolist() == [2.0, 4.0, 9.0]  # below 4.5 are two of each layer, so two channels go
    assert found["free"].tolist() == [1.0, 5.0]


def test_the_shares_meet_the_budget_and_differ_between_layers() -> None:
    asked = job("gassl", zoo.find("rnet"), "macs=0.5", options={"select": 60})
    counts = going_counts(asked, responses(asked, selecting("short", 60), 5e-3))
    kept = np.ones(len(asked.cost.names))
    for name, going in counts.items():
        kept[asked.cost.names.index(name)] -= going / asked.channels.group(name).channels
    whole = asked.cost.macs(np.ones(len(kept)))
    assert 0.4 < asked.cost.macs(kept) / whole <= 0.5
    assert len(set(counts.values())) > 1


def test_selection_leaves_no_trace_and_pruning_begins_from_the_dense_weights() -> None:
    asked = job("gassl", zoo.find("edsr"), options={"select": 12, "steps": 100})
    before = {k: v.clone() for k, v in asked.network.state_dict().items()}
    pruned = gassl.prune(asked)
    assert isinstance(asked.train, Trainer)
    assert [(phase.name, phase.steps) for phase in asked.train.phases] == [
        ("selection", 12),
        ("sparsity", 100),
    ]
    assert all(torch.equal(v, before[k]) for k, v in asked.network.state_dict().items())
    assert count(pruned).macs <= 0.6 * count(asked.network).macs
    notes = pruned.plans[-1].notes
    assert abs(notes[BEFORE] - notes[AFTER]) <= 0.05


def test_only_scales_and_shifts_answer_where_the_selection_is_short() -> None:
    asked = job("gassl", zoo.find("edsr"))
    seen: dict[str, torch.Tensor] = {}

    class Spy(Trainer):
        def __call__(self, network, phase, method) -> None:
            super().__call__(network, phase, method)
            seen.update({k: v.clone() for k, v in network.body.state_dict().items()})

    spied = job("gassl", zoo.find("edsr"), train=Spy(asked.network))
    responses(spied, selecting("short", 8), 1e-2)
    dense = asked.network.body.state_dict()
    weight, before = seen["head.0.weight"].flatten(1), dense["head.0.weight"].flatten(1)
    directions = [rows / rows.norm(dim=1, keepdim=True) for rows in (weight, before)]
    assert torch.allclose(*directions, atol=1e-6)
    assert not torch.allclose(weight, before)
    assert torch.equal(seen["tail.1.weight"], dense["tail.1.weight"])  # its outputs are the image


def test_the_published_selection() -> None:
    assert (PAPER.grow, PAPER.hold) == (10_000, 1)
    assert PAPER.ceiling == pytest.approx(0.05 * UNIT)
    assert selecting("short", 300).at.steps == 300
    assert gassl.PAPER.steps == 17_260 + 150_000 + 86_300
