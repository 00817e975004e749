"""What is looked at, and its bounds."""

from pathlib import Path

import pytest
import torch

from espalier.costs.memory import peak
from espalier.data import pack
from espalier.methods.calibrated import material
from tests import zoo
from tests.recipes.conftest import write_photos


def test_drafts_see_some_of_the_patches() -> None:
    x = torch.arange(64.0)[:, None, None, None].expand(64, 3, 8, 8)
    drafted = material.Material(x, x[:4]).drafted
    assert drafted[:, 0, 0, 0].tolist() == list(range(0, 64, 2))
    few = material.Material(x[:5], x[:4])
    assert few.drafted.shape == few.fitted.shape
    assert few.size == (8, 8)
    assert material.small(few.drafted).shape == (1, 3, 8, 8)


def test_images_that_are_too_small_are_passed_over_in_silence(tmp_path: Path) -> None:
    folder = write_photos(tmp_path / "photos", 2, 120, 200)
    write_photos(tmp_path / "small", 1, 40, 40).joinpath("photo0.png").rename(folder / "small.png")
    images = pack(folder, 2, cache=tmp_path / "cache")
    found = material.patches(images, seed=0)
    assert found.size == (48, 48)
    large = images.take([k for k, name in enumerate(images.names) if name != "small"])
    torch.testing.assert_close(found.fitted, material.patches(large, seed=0).fitted)
    assert material.patches(images.take([2]), seed=0).size == (20, 20)


@pytest.mark.parametrize("name", ["edsr", "imdn", "SwinIR", "fsrcnn", "carn"])
def test_patches_and_rows_stay_within_their_bytes(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    network = zoo.network(zoo.find(name))
    assert material.affordable(network, (16, 16)) == (material.PATCHES, material.ROWS)
    alive = peak(network, (16, 16)).activations
    monkeypatch.setattr(material, "ALIVE", 10 * alive)
    monkeypatch.setattr(material, "BYTES", 15 * alive)
    count, rows = material.affordable(network, (16, 16))
    assert count == 10
    assert 1 <= rows < material.ROWS
    assert rows * 8 * material._outputs(network.body) <= 5 * alive


def test_outputs_are_those_of_all_layers() -> None:
    network = torch.nn.Sequential(
        torch.nn.Conv2d(3, 8, 3),
        torch.nn.Conv2d(8, 8, 3, groups=8),
        torch.nn.ConvTranspose2d(8, 6, 3, groups=2),
        torch.nn.Linear(6, 5),
        torch.nn.PReLU(7),
    )
    assert material._outputs(network) == 8 + 8 + 6 + 5
