"""Static masks: at once, in rounds, gradually, in patterns."""

import pytest
import torch

from espalier.errors import PlanError
from espalier.methods import sparse
from espalier.methods.job import Phase
from espalier.methods.protocol import Method
from espalier.networks.network import Network
from espalier.sparsity import Pattern, choose, sparsity, weights
from espalier.sparsity.pattern import holds
from tests import zoo
from tests.methods.jobs import job

EDSR = zoo.find("edsr")


@pytest.mark.parametrize("spread", ["global", "layer", "lamp", "erk"])
def test_at_once_nothing_is_trained_and_what_stays_is_unchanged(spread: str) -> None:
    asked = job("sparse", EDSR, "sparsity=0.9", options={"spread": spread})
    made = sparse.prune(asked)
    assert asked.train.phases == []  # type: ignore[attr-defined]
    assert sparsity(made.masks) == pytest.approx(0.9, abs=1e-3)
    for name, mask in made.masks.items():
        assert torch.equal(made.body.get_parameter(name), asked.network.body.get_parameter(name) * mask)


def test_a_gradual_rise_never_brings_a_weight_back() -> None:
    asked = job("sparse", EDSR, "sparsity=0.8", options={"schedule": "gradual", "steps": 12, "every": 2})
    made = sparse.prune(asked)
    assert sparsity(made.masks) == pytest.approx(0.8, abs=1e-3)
    first = choose({n: w.abs() for n, w in weights(asked.network).items()}, 0.05)
    assert all(not (made.masks[name] & ~mask).sum() > 0.01 * mask.numel() for name, mask in first.items())


def test_rounds_prune_equal_shares_of_what_is_left() -> None:
    seen: list[tuple[str, float]] = []
    asked = job("sparse", EDSR, "sparsity=0.875", options={"rounds": 3, "steps": 6})

    def train(network: Network, phase: Phase, method: Method) -> None:
        seen.append((phase.name, sparsity(method.masks)))  # type: ignore[attr-defined]
        asked.train(network, phase, method)

    made = sparse.prune(job("sparse", EDSR, "sparsity=0.875", options={"rounds": 3, "steps": 6}, train=train))
    assert [name for name, _ in seen] == ["round-1", "round-2", "round-3"]
    assert [share for _, share in seen] == pytest.approx([0.5, 0.75, 0.875], abs=1e-3)
    assert sparsity(made.masks) == pytest.approx(0.875, abs=1e-3)


def test_rewinding_begins_with_the_dense_weights_under_the_new_masks() -> None:
    starts: list[bool] = []
    dense = zoo.network(EDSR)

    def train(network: Network, phase: Phase, method: Method) -> None:
        del phase
        masks = method.masks  # type: ignore[attr-defined]
        starts.append(
            all(
                torch.equal(w, dense.body.get_parameter(n).detach() * masks.get(n, 1))
                for n, w in network.body.named_parameters()
            )
        )
        with torch.no_grad():
            for weight in weights(network).values():
                weight.mul_(torch.rand(weight.shape, generator=torch.Generator().manual_seed(1)))

    options = {"rounds": 2, "steps": 2, "rewind": True}
    sparse.prune(job("sparse", EDSR, "sparsity=0.5", options=options, train=train))
    assert starts == [True, True]
    starts.clear()
    sparse.prune(job("sparse", EDSR, "sparsity=0.5", options=options | {"rewind": False}, train=train))
    assert starts == [True, False]


@pytest.mark.parametrize(("pattern", "share"), [("2:4", 0.5), ("1:4", 0.75)])
def test_patterns(pattern: str, share: float) -> None:
    options = {"pattern": pattern, "steps": 2}
    made = sparse.prune(job("sparse", EDSR, f"sparsity={share}", options=options))
    assert sparsity(made.masks) == pytest.approx(share)
    assert all(holds(mask, Pattern.parse(pattern)) for mask in made.masks.values())
    assert "head.0.weight" not in made.masks  # three inputs are no groups of four


@pytest.mark.parametrize(
    ("budget", "options", "words"),
    [
        ("sparsity=0.6", {"pattern": "2:4"}, "give --budget sparsity=0.5"),
        ("sparsity=0.5", {"pattern": "2:4", "rounds": 2}, "rounds 1"),
        ("sparsity=0.5", {"schedule": "gradual"}, "needs steps"),
        ("sparsity=0.5", {"schedule": "gradual", "steps": 5, "pattern": "2:4"}, "neither patterns"),
        ("sparsity=0.5", {"pattern": "32:64"}, "no layer has inputs in groups of 64"),
    ],
)
def test_contradictions_are_explained(budget: str, options: dict[str, object], words: str) -> None:
    with pytest.raises(PlanError, match=words):
        sparse.prune(job("sparse", EDSR, budget, options=options))
