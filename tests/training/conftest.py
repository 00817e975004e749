"""A tiny network and tiny images to train it on."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

from espalier.data import PackedImages, pack


def make_images(folder: Path) -> PackedImages:
    """Three smooth pictures, packed for x2."""
    y, x = np.mgrid[:48, :40] / 8
    for index in range(3):
        waves = [np.sin(y * (index + 1) + phase) * np.cos(x + index) for phase in range(3)]
        Image.fromarray((np.stack(waves, 2) * 100 + 128).astype(np.uint8)).save(folder / f"{index}.png")
    return pack(folder, 2, cache=folder / "cache")


@pytest.fixture(scope="session")
def images(tmp_path_factory: pytest.TempPathFactory) -> PackedImages:
    return make_images(tmp_path_factory.mktemp("images"))


@pytest.fixture
def network() -> Callable[[], nn.Module]:
    def build() -> nn.Module:
        torch.manual_seed(1)
        return nn.Sequential(
            nn.Conv2d(3, 8, 3, padding=1),
            nn.ReLU(),
            nn.Dropout(0.1),
            nn.Conv2d(8, 12, 3, padding=1),
            nn.PixelShuffle(2),
        )

    return build
