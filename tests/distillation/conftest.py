"""A small generator, and images to train it on."""

from collections.abc import Callable

import pytest
import torch

from espalier.data import PackedImages
from espalier.networks.load import load
from espalier.networks.network import Network
from tests.training.conftest import make_images


@pytest.fixture(scope="session")
def images(tmp_path_factory: pytest.TempPathFactory) -> PackedImages:
    return make_images(tmp_path_factory.mktemp("images"))


@pytest.fixture
def generator() -> Callable[..., Network]:
    """Two blocks of eight channels with BatchNorm; the seed chooses the weights."""

    def build(seed: int = 1, blocks: int = 2, channels: int = 8) -> Network:
        torch.manual_seed(seed)
        return load(f"srresnet(scale=2, blocks={blocks}, channels={channels}, kernel=3)")

    return build
