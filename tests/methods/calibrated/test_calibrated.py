"""The method on tiny networks of every kind."""

import sys

import pytest
import torch
from torch import nn

from espalier import allocation, calibration, importance
from espalier.allocation import Budget
from espalier.channels import analyse
from espalier.costs import count
from espalier.data import PackedImages
from espalier.errors import ImageError, PlanError
from espalier.methods import calibrated
from espalier.methods.calibrated import material
from espalier.methods.job import Job, cut
from espalier.networks.network import Base, Network
from tests import zoo
from tests.methods import jobs

NAMES = ("edsr", "rnet", "imdn", "carn", "rfdn", "pan", "srresnet", "fsrcnn", "vdsr", "SwinIR")


def images(scale: int, count: int = 6, side: int = 40) -> PackedImages:
    return jobs.images(scale, count, side, knots=9)


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Fewer patches than in earnest."""
    monkeypatch.setattr(material, "PATCHES", 8)
    monkeypatch.setattr(material, "HELD", 4)
    monkeypatch.setattr(material, "SIZE", 20)
    monkeypatch.setattr(material, "ROWS", 4096)
    monkeypatch.setattr(calibrated, "PROBES", 2)


def job(name: str, budget: str = "macs=0.6", **changed: object) -> Job:
    entry = zoo.find(name)
    network, channels = zoo.network(entry).eval(), zoo.channels(entry)
    cost = channels.cost.at_size({layer.name: layer.macs for layer in count(network).layers})
    given = {
        "network": network, "channels": channels, "cost": cost, "budget": Budget.parse(budget), "criterion": "l2",
        "allocation": "damage", "round_to": 1, "protect": (), "images": images(network.scale), "seed": 0,
        "options": calibrated.OPTIONS(polish=4),
    }  # fmt: skip
    return Job(**given | changed)  # type: ignore[arg-type]


def held(network: Network) -> torch.Tensor:
    """Patches that the method has not seen."""
    return material.patches(images(network.scale), seed=99).held


@pytest.mark.parametrize("name", NAMES)
def test_it_meets_the_budget_and_is_nearer_to_the_dense_network_than_magnitude(name: str) -> None:
    wanted = job(name)
    pruned = calibrated.prune(wanted)
    assert count(pruned).macs <= 0.6 * count(wanted.network).macs
    scores = importance.scores("l2", wanted.network.body, wanted.channels.prunable)
    kept = allocation.allocate(wanted.channels, scores, wanted.budget, by="uniform", cost=wanted.cost)
    plain = cut(wanted.network, wanted.channels.plan(kept))
    x = held(wanted.network)
    ours, theirs = (calibrated.difference(n, wanted.network, x) for n in (pruned, plain))
    assert ours < 0.7 * theirs


@pytest.mark.parametrize("name", NAMES)
def test_refitting_a_whole_network_changes_next_to_nothing(name: str) -> None:
    dense, again = (zoo.network(zoo.find(name)).eval() for _ in range(2))
    x = material.patches(images(dense.scale), seed=0).fitted
    found = calibration.record(dense.body, dense.encode(x))
    calibration.refit(again.body, dense.encode(x), found, {})
    assert calibrated.difference(again, dense, held(dense)) < 1e-9


def test_the_dense_network_is_left_alone() -> None:
    wanted = job("edsr")
    before = {k: v.clone() for k, v in wanted.network.state_dict().items()}
    calibrated.prune(wanted)
    assert all(torch.equal(v, before[k]) for k, v in wanted.network.state_dict().items())


def test_the_same_seed_gives_the_same_weights() -> None:
    first, second = (calibrated.prune(job("edsr")).state_dict() for _ in range(2))
    assert all(torch.equal(first[k], second[k]) for k in first)


def test_protected_layers_and_other_allocations_are_heeded() -> None:
    pruned = calibrated.prune(job("edsr", protect=("body.0.*",), allocation="uniform"))
    dense = zoo.network(zoo.find("edsr")).body.state_dict()
    after = pruned.body.state_dict()
    assert all(after[k].shape == dense[k].shape for k in dense if k.startswith("body.0."))
    assert any(after[k].shape != dense[k].shape for k in dense)


@pytest.mark.parametrize("budget", ["params=0.5", "ratio=0.5"])
def test_other_budgets(budget: str) -> None:
    wanted = job("edsr", budget)
    pruned = calibrated.prune(wanted)
    assert count(pruned).params < 0.6 * count(wanted.network).params


def test_impossible_wishes_are_refused() -> None:
    with pytest.raises(PlanError, match="cannot be met"):
        calibrated.prune(job("edsr", "macs=0.00001"))
    with pytest.raises(ImageError, match="no image"):
        calibrated.prune(job("edsr", images=images(2).take([])))


class Doubled(nn.Module):
    """Inner channels 4 to 7 repeat 0 to 3; a trunk with two readers."""

    def __init__(self) -> None:
        super().__init__()
        self.head = nn.Conv2d(3, 6, 3, padding=1)
        self.inner = nn.Conv2d(6, 8, 3, padding=1)
        self.outer = nn.Conv2d(8, 6, 3, padding=1)
        self.tail = nn.Conv2d(6, 3, 3, padding=1)
        for tensor in (self.inner.weight.data, self.inner.bias.data):
            tensor[4:] = tensor[:4]

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.head(x)
        return self.tail(x + self.outer(self.inner(x).relu()))


def doubled() -> Network:
    torch.manual_seed(0)
    return Network(Doubled().eval(), name="doubled", scale=1, base=Base("factory", "tests:none"))


def test_channels_that_others_repeat_go_without_loss() -> None:
    network = doubled()
    channels = analyse(network.body, torch.rand(1, 3, 12, 16))
    x = material.patches(images(1), seed=0).fitted
    found = calibration.observe(network.body, x, channels.prunable)
    curve = calibration.damages(network.body, channels.prunable, found, damping=1e-7)["inner.weight"]
    assert sorted(k % 4 for k in curve.order[:4]) == [0, 1, 2, 3]
    assert curve.damage[3] < 0.01 * curve.damage[4]
    pruned = cut(network, channels.plan({"inner.weight": sorted(curve.order[4:].tolist())}))
    plan = pruned.plans[-1]
    calibration.refit(pruned.body, x, found.records, calibrated.outputs_of(plan, network.body))
    assert calibrated.difference(pruned, network, held(network)) < 1e-8


def test_a_trunk_channel_costs_what_all_its_readers_lose() -> None:
    network = doubled()
    channels = analyse(network.body, torch.rand(1, 3, 12, 16))
    trunk = channels.group("head.weight")
    x = material.patches(images(1), seed=0).fitted
    found = calibration.observe(network.body, x, channels.prunable)
    readers = [calibration.consumers_of(network.body, member, found) for member in trunk.members]
    assert [len(r) for r in readers if r] == [1, 1]
    whole = calibration.damages(network.body, [trunk], found)[trunk.name].damage[-1]
    parts = [calibration.eliminate(r).damage[-1] for r in readers if r]
    assert whole == pytest.approx(sum(parts), rel=1e-6)


def test_it_tells_what_it_does_and_how_near_it_is() -> None:
    told: list[str] = []
    calibrated.prune(job("edsr", tell=told.append))
    assert told[0].startswith("looking for")
    assert sum("way" in line for line in told) == 3
    assert "dB from the dense network's images" in told[-1]


@pytest.mark.parametrize("where", ["calibration.observe", "calibration.refit.refit_", "calibration.record"])
def test_an_interruption_leaves_the_dense_network_whole(where: str, monkeypatch: pytest.MonkeyPatch) -> None:
    wanted = job("edsr")
    before = {k: v.clone() for k, v in wanted.network.state_dict().items()}
    whole = calibrated.prune(wanted).state_dict()
    place = sys.modules["espalier.calibration.refit"] if "refit_" in where else calibration

    def interrupted(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(place, where.rpartition(".")[2], interrupted)
        with pytest.raises(KeyboardInterrupt):
            calibrated.prune(wanted)
    assert all(torch.equal(v, before[k]) for k, v in wanted.network.state_dict().items())
    assert not any(m._forward_hooks or m._backward_hooks for m in wanted.network.modules())
    again = calibrated.prune(wanted).state_dict()
    assert all(torch.equal(v, again[k]) for k, v in whole.items())
