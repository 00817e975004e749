"""A tiny network and smooth random photographs."""

import itertools
import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from torch import nn

from espalier.data import PackedImages
from espalier.methods import calibrated
from espalier.methods.calibrated import polishing
from espalier.methods.job import Job
from espalier.networks.network import Network
from espalier.recipes import sets
from espalier.training import Validation

TINY = "edsr(scale=2, blocks=2, channels=8)"


def write_photos(folder: Path, count: int, height: int = 72, width: int = 88) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for index in range(count):
        random = np.random.default_rng(index)
        small = Image.fromarray(random.integers(0, 256, (9, 11, 3), dtype=np.uint8))
        small.resize((width, height), Image.Resampling.BICUBIC).save(folder / f"photo{index}.png")
    return folder


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    return write_photos(tmp_path / "photos", 4)


@pytest.fixture(autouse=True)
def quickly_polished(monkeypatch: pytest.MonkeyPatch) -> None:
    def polished(job: Job, network: Network, moves: int) -> Network:
        return polishing.polished(job, network, moves // 8)

    monkeypatch.setattr(calibrated, "polished", polished)


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Packed images of tests stay out of the user's cache."""
    monkeypatch.setenv("ESPALIER_CACHE", str(tmp_path / "cache"))


@contextmanager
def interrupted(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Ctrl-C while the second validation runs: the first one is of what recovery begins with."""
    honest, calls = sets.psnr_on, itertools.count()

    def psnr_on(images: PackedImages) -> Validation:
        def validate(network: nn.Module) -> dict[str, float]:
            if next(calls) == 1:
                os.kill(os.getpid(), signal.SIGINT)
            return dict(honest(images)(network))

        return validate

    with monkeypatch.context() as patch:
        patch.setattr(sets, "psnr_on", psnr_on)
        yield
