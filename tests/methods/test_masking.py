"""Masks are exact at every moment: after every step, across an interruption, in the mean, on every worker."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from espalier import training
from espalier.methods.dynamic.options import Options
from espalier.methods.dynamic.rules import RULES, timing
from espalier.methods.masking import Keeping, Masks, Search
from espalier.methods.protocol import Batch, Context
from espalier.networks.network import Network
from espalier.plan import PrunePlan
from espalier.sparsity import choose, sparsity, weights
from tests import zoo
from tests.launched import passed
from tests.methods import masked_worker
from tests.methods.jobs import images

SETTINGS = {"steps": 12, "batch": 2, "patch": 12, "lr": 1e-2, "weight_decay": 0.1, "save_every": 5}


def network() -> Network:
    return zoo.network(zoo.find("edsr"))


def half(of: Network) -> Masks:
    return choose({n: w.detach().abs() for n, w in weights(of).items()}, 0.5)


def search(of: Network, rule: str, kind: type[Search] = Search, **changed: Any) -> Search:
    options = Options.model_validate({"rule": rule, "steps": 12, "every": 2} | changed)
    masks = {name: torch.ones_like(w, dtype=torch.bool) for name, w in weights(of).items()}
    return kind(masks, RULES[rule](options), timing(options, 0.8))


class Watched(Search):
    """Looks at the network in every forward pass."""

    def start(self, context: Context) -> None:
        super().start(context)
        self.seen: list[float] = []

    def losses(self, batch: Batch) -> Mapping[str, Tensor]:
        assert exact(self.network, self.masks)
        if self.ema is not None:
            assert exact(self.ema, self.masks)
        self.seen.append(sparsity(self.masks))
        return super().losses(batch)


def exact(of: nn.Module, masks: Masks) -> bool:
    assert isinstance(of, Network)
    return all(not of.body.get_parameter(name)[~mask].any() for name, mask in masks.items())


def fit(trained: Network, method: Keeping, **changed: Any) -> None:
    run, resume = changed.pop("run", None), changed.pop("resume", False)
    settings = training.TrainSettings(**SETTINGS | changed)
    training.fit(trained, images(2), settings, method=method, run=run, resume=resume, progress=False)


@pytest.mark.parametrize("optimizer", ["adam", "adamw"])
@pytest.mark.parametrize("ema", [0.0, 0.9])
def test_kept_masks_are_zero_whatever_the_optimizer_remembers(optimizer: str, ema: float) -> None:
    trained = network()
    fit(trained, Keeping({}), steps=3)  # a network that has moments to forget
    masks = half(trained)
    before = {name: w.detach().clone() for name, w in weights(trained).items()}
    fit(trained, Keeping(masks), optimizer=optimizer, ema=ema)
    assert exact(trained, masks)
    for name, weight in weights(trained).items():
        assert not torch.equal(weight[masks[name]], before[name][masks[name]])
        assert weight[masks[name]].all()


@pytest.mark.parametrize("ema", [0.0, 0.9])
@pytest.mark.parametrize("rule", RULES)
def test_pruned_weights_are_zero_in_every_forward_pass(rule: str, ema: float) -> None:
    trained = network()
    method = search(trained, rule, Watched)
    assert isinstance(method, Watched)
    fit(trained, method, ema=ema)
    assert exact(trained, method.masks)
    assert sparsity(method.masks) == pytest.approx(0.8, abs=1e-3)
    assert method.seen == sorted(method.seen)  # sparsity rises
    assert method.seen[0] == 0 < method.seen[4] < method.seen[-1]


@pytest.mark.parametrize("rule", RULES)
def test_weights_come_back(rule: str) -> None:
    class Counting(Search):
        back = 0

        def after_step(self, step: int) -> PrunePlan | None:
            before = dict(self.masks)
            super().after_step(step)
            self.back += sum(int((self.masks[name] & ~mask).sum()) for name, mask in before.items())
            assert step < self.timing.until or all(torch.equal(before[n], m) for n, m in self.masks.items())
            return None

    trained = network()
    method = search(trained, rule, Counting, ramp=0.2, steps=20)
    assert isinstance(method, Counting)
    fit(trained, method, steps=20, lr=3e-2)
    assert method.back > 0
    assert not method.hidden


@pytest.mark.parametrize("rule", RULES)
def test_an_interrupted_search_goes_on_bit_for_bit(rule: str, tmp_path: Path) -> None:
    class Stopping(Search):
        def before_step(self, step: int) -> None:
            if step == 7:
                raise KeyboardInterrupt

    whole, first, second = network(), network(), network()
    one, two = search(whole, rule), search(second, rule)
    fit(whole, one, ema=0.9)
    with pytest.raises(KeyboardInterrupt):
        fit(first, search(first, rule, Stopping), ema=0.9, run=tmp_path / "run")
    fit(second, two, ema=0.9, run=tmp_path / "run", resume=True)
    assert all(torch.equal(mask, two.masks[name]) for name, mask in one.masks.items())
    assert all(torch.equal(a, b) for a, b in zip(whole.state_dict().values(), second.state_dict().values()))


def test_kept_masks_survive_an_interruption(tmp_path: Path) -> None:
    trained = network()
    masks = half(trained)
    fit(trained, Keeping(masks), run=tmp_path / "run")
    again = network()
    method = Keeping({name: torch.ones_like(mask) for name, mask in masks.items()})
    fit(again, method, run=tmp_path / "run", resume=True)
    assert all(torch.equal(mask, method.masks[name]) for name, mask in masks.items())
    assert exact(again, masks)


def test_steps_of_revived_weights_are_of_the_size_of_the_others() -> None:
    class Comparing(Search):
        def _balance(self) -> None:
            before = {name: t.clone() for name, t in self.before.items()}
            super()._balance()
            for name, mask in self.masks.items():
                change = self.weights[name].detach() - before[name]
                if mask.all() or not mask.any():
                    continue
                kept, pruned = (float(change[part].square().mean().sqrt()) for part in (mask, ~mask))
                ratios.append(pruned / kept)

    ratios: list[float] = []
    trained = network()
    fit(trained, search(trained, "balanced", Comparing, revival=0.5))
    assert ratios == pytest.approx([0.5] * len(ratios), rel=1e-3)
    assert len(ratios) > 20


def test_every_worker_finds_the_same_masks(tmp_path: Path) -> None:
    passed(masked_worker.__file__, tmp_path)
    for rule in RULES:
        first, second = (torch.load(tmp_path / f"{rule}-{rank}.pt", weights_only=True) for rank in (0, 1))
        assert all(torch.equal(value, second[name]) for name, value in first.items())
        alone = masked_worker.run(rule, batch=4, lr=2e-2)
        unlike = sum(int((first[n] != value).sum()) for n, value in alone.items() if n.startswith("mask"))
        assert unlike <= 0.01 * sum(v.numel() for n, v in alone.items() if n.startswith("mask"))
