"""Two workers with half the batch distil as one with the whole: student, adapters and discriminator alike."""

from pathlib import Path

import pytest
import torch

from tests.distillation import worker
from tests.launched import hosts, passed, passed_on  # noqa: F401 (a fixture)
from tests.recipes.conftest import write_photos

SCRIPT = str(Path(__file__).with_name("worker.py"))
ROUNDING = 1e-4
"""Kernels sum batches of 4 and 8 in other orders, and Adam makes that larger. Of a tensor's norm and of the way that
Adam can take it."""
UNDETERMINED = {"relativistic": {"judge judge.1.bias", "judge judge.3.bias"}}
"""What is added to all verdicts alike has no gradient but rounding where only their differences count."""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Smooth random photographs: of regular waves some gradients are but rounding, which Adam makes large."""
    return write_photos(tmp_path / "photos", 4)


def agree(folder: Path, out: Path, game: str) -> None:
    alone = worker.train(folder, game, batch=8)
    first, second = (torch.load(out / f"{rank}.pt", weights_only=True) for rank in (0, 1))
    apart = []
    for part, state in alone.items():
        assert state
        for name, value in state.items():
            a, b = first[part][name], second[part][name]
            assert torch.equal(a, b), f"{part} {name}: the workers differ"
            if value.is_floating_point():
                reach = value.norm() + worker.STEPS[game] * worker.RATE * value.numel() ** 0.5
                apart += [f"{part} {name}"] * bool((a - value).norm() > ROUNDING * reach)
    assert set(apart) <= UNDETERMINED.get(game, set())


@pytest.mark.parametrize(
    "game", [pytest.param(g, marks=[] if g == "vanilla" else pytest.mark.slow) for g in worker.GAMES]
)
def test_two_workers_of_4_are_one_of_8(game: str, folder: Path, tmp_path: Path) -> None:
    passed(SCRIPT, folder, tmp_path, game)
    agree(folder, tmp_path, game)


@pytest.mark.slow
def test_two_hosts(hosts: tuple[str, str], folder: Path, tmp_path: Path) -> None:  # noqa: F811
    passed_on(hosts, SCRIPT, folder, tmp_path, "vanilla")
    agree(folder, tmp_path, "vanilla")
