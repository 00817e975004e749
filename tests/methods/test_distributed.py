"""Two workers choose the same channels, and those that one worker with twice the batch chooses."""

from pathlib import Path

import pytest
import torch

from tests.launched import passed
from tests.methods import worker
from tests.methods.jobs import LEARNED


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What every worker made of every method."""
    out = tmp_path_factory.mktemp("workers")
    passed(worker.__file__, out)
    return out


@pytest.mark.parametrize("method", LEARNED)
def test_every_worker_chooses_the_same_channels(method: str, results: Path) -> None:
    first, second = (torch.load(results / f"{method}-{rank}.pt", weights_only=True) for rank in (0, 1))
    alone = worker.run(method, batch=4, lr=2e-3)
    assert any(name.startswith("kept") for name in alone)
    for name, value in alone.items():
        assert torch.equal(first[name], second[name])
        if name.startswith("kept"):
            assert torch.equal(first[name], value)
        else:
            assert (first[name] - value).norm() <= 1e-3 * value.norm() + 1e-6
