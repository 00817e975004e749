"""The worked examples of CONTRIBUTING.md do what it says."""

import copy
import re
import types
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from espalier import channels
from espalier.channels import rules
from espalier.methods.protocol import Idle
from espalier.networks.load import load

TEXT = (Path(__file__).parents[1] / "CONTRIBUTING.md").read_text(encoding="utf-8")
EXAMPLES = dict(re.findall(r"```python\n# (src/\S+)\n(.*?)```", TEXT, re.DOTALL))


def example(end: str) -> types.ModuleType:
    """The example whose path ends so, as a module."""
    path, code = next((path, code) for path, code in EXAMPLES.items() if path.endswith(end))
    module = types.ModuleType(Path(path).stem)
    exec(compile(code, path, "exec"), module.__dict__)
    return module


@pytest.fixture
def tiny() -> channels.Channels:
    network = load("edsr(scale=2, blocks=1, channels=4)")
    return channels.analyse(network.body, torch.rand(1, 3, 12, 14))


def test_every_path_is_where_such_files_live() -> None:
    root = Path(__file__).parents[1]
    assert len(EXAMPLES) == 6
    for path in EXAMPLES:
        parent = (root / path).parent
        assert (parent if parent.is_dir() else parent.parent).is_dir(), path


def test_the_criterion_scores_channels_by_their_largest_weight(tiny: channels.Channels) -> None:
    group = tiny.prunable[0]
    tensors = {name: p.detach() for name, p in tiny.network.named_parameters()}
    weight = tensors[group.members[0].tensor]
    scores = example("largest.py").score(group, tensors, np.random.default_rng(0))
    assert scores == pytest.approx(weight.abs().flatten(1).amax(1).numpy())


def test_the_method_keeps_the_first_channels_within_the_budget() -> None:
    from espalier.allocation import Budget
    from espalier.costs import count
    from espalier.methods.job import Job
    from espalier.recipes.inspect import trace

    network = load("edsr(scale=2, blocks=1, channels=8)")
    found = trace(network)
    budget = Budget.parse("macs=0.5")
    job = Job(network, found, found.cost, budget, "l2", "global", 1, (), None, 0)  # type: ignore[arg-type]
    pruned = example("nested/__init__.py").prune(job)
    assert 0.3 < count(pruned).macs / count(network).macs <= 0.51
    assert all(choice.kept == tuple(range(len(choice.kept))) for choice in pruned.plans[0].choices)


def test_the_method_that_learns_has_faded_its_channels_before_it_cuts() -> None:
    from espalier.allocation import Budget
    from espalier.methods.job import Job, Phase
    from espalier.recipes.inspect import trace

    module = example("fading/__init__.py")
    network = load("edsr(scale=2, blocks=1, channels=8)")
    found = trace(network)
    trained: list[nn.Module] = []

    def train(network: nn.Module, phase: Phase, method: Idle) -> None:
        trained.append(copy.deepcopy(network))
        for step in range(phase.steps):
            assert method.after_step(step) is None
        trained.append(network)

    options = module.OPTIONS(steps=2, decay=0.5)
    budget = Budget.parse("macs=0.5")
    job = Job(network, found, found.cost, budget, "l2", "global", 1, (), None, 0, options, train)  # type: ignore[arg-type]
    pruned = module.prune(job)
    before, after = (dict(n.body.named_parameters()) for n in trained)
    cut = next(c for c in pruned.plans[0].cuts if c.dim == 0)
    gone = [i for i in range(cut.size) if i not in cut.kept]
    torch.testing.assert_close(after[cut.tensor][gone], before[cut.tensor][gone] / 4)
    torch.testing.assert_close(after[cut.tensor][list(cut.kept)], before[cut.tensor][list(cut.kept)])


class Renormed(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Conv2d(3, 6, 3, padding=1)
        self.second = nn.Conv2d(6, 3, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        return self.second(torch.renorm(self.first(x), 2, 1, 0.5))


@pytest.fixture
def renorm_rule() -> Iterator[None]:
    for name, rule in example("renorm.py").RULES.items():
        rules.add_rule(name, rule)
    yield
    rules.RULES.pop("renorm")


def status(network: nn.Module) -> str:
    return channels.analyse(network, torch.rand(1, 3, 8, 10)).group("first.weight").status


def test_without_the_rule_the_channels_stay_whole() -> None:
    assert status(Renormed()) == "pinned"


@pytest.mark.usefixtures("renorm_rule")
def test_the_operator_rule_frees_the_channels() -> None:
    assert status(Renormed()) == "exact"


def test_the_network_recognises_itself_and_can_be_pruned() -> None:
    module = example("tinysr.py")
    network = module.NETWORK(scale=3, channels=5)
    assert network(torch.rand(1, 3, 8, 9)).shape == (1, 3, 24, 27)
    assert module.recognise(network.state_dict()).arguments == {"scale": 3, "channels": 5}
    assert module.recognise({"other.weight": torch.zeros(1)}) is None
    assert status_of_head(network) == "exact"


def status_of_head(network: nn.Module) -> str:
    return channels.analyse(network, torch.rand(1, 3, 8, 10)).group("head.weight").status


def test_the_export_target_writes_what_the_network_computes(tmp_path: Path) -> None:
    from espalier.export import Request, verify

    target = example("export/safetensors.py")
    network = load("edsr(scale=2, blocks=1, channels=4)")
    path = tmp_path / f"a{target.SUFFIX}"
    exported = target.write(network, path, Request())
    assert verify(target, network, path, exported, Request(), torch.rand(1, 3, 64, 64)).passed
