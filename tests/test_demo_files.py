"""The bundled network and photographs."""

from pathlib import Path

import pytest

from espalier.data import pack
from espalier.images.folder import list_images
from espalier.networks.load import load
from espalier.training import psnr_on

DEMO = Path(__file__).parents[1] / "src" / "espalier" / "demo"


def test_the_network_is_small_and_good(tmp_path: Path) -> None:
    file = DEMO / "edsr_x2.safetensors"
    assert file.stat().st_size < 2_000_000
    photos = pack(DEMO / "photos" / "evaluation", 2, cache=tmp_path)
    assert psnr_on(photos)(load(file))["psnr"] == pytest.approx(35.190, abs=0.01)


def test_every_photograph_has_its_terms() -> None:
    terms = (DEMO / "photos" / "LICENSES.md").read_text()
    photos = [
        f"{part}/{p.name}" for part in ("training", "evaluation") for p in list_images(DEMO / "photos" / part)
    ]
    assert len(photos) == 7
    assert all(f"| {photo} |" in terms for photo in photos)
    assert sum((DEMO / "photos" / photo).stat().st_size for photo in photos) < 1_500_000


def test_on_set5(real_data: Path, tmp_path: Path) -> None:
    scores = psnr_on(pack(real_data / "sets" / "Set5", 2, cache=tmp_path))(load(DEMO / "edsr_x2.safetensors"))
    assert scores["psnr"] == pytest.approx(37.445, abs=0.01)
