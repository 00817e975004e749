"""The designed networks: the published counts, and the recipes that make them."""

from pathlib import Path

import numpy as np
import pytest
import yaml

from espalier import channels
from espalier.costs import count
from espalier.networks.load import load
from espalier.networks.network import Network
from espalier.recipes.compress import CompressSettings, _request
from espalier.recipes.config import TrainConfig

CONFIGS = Path(__file__).parents[2] / "configs"
SIZES = {2: (360, 640), 3: (240, 426), 4: (180, 320)}
"""Height and width of the input as the papers count: 720 / scale and 1280 / scale, rounded down."""


def ledsr(scale: int, width: int) -> Network:
    return load(f"edsr(scale={scale}, blocks=16, channels={width}, upsampler='light')")


@pytest.mark.parametrize(
    ("scale", "width", "params", "macs"),
    [
        (2, 48, 692_412, 159.15),
        (3, 48, 698_907, 71.29),
        (4, 48, 708_000, 40.68),
        (2, 45, 609_042, 139.97),
        (3, 45, 615_132, 62.73),
        (4, 45, 623_658, 35.83),
    ],
)
def test_published_counts(scale: int, width: int, params: int, macs: float) -> None:
    found = count(ledsr(scale, width), SIZES[scale])
    assert found.params == params
    assert round(found.macs / 1e9, 2) == macs


@pytest.mark.parametrize(("width", "params", "macs"), [(48, 692_412, 159.15), (45, 609_042, 139.97)])
def test_the_wide_network_cut_to_so_many_channels_costs_the_same(
    width: int, params: int, macs: float
) -> None:
    wide = ledsr(2, 256)
    dense = count(wide)
    assert (dense.params, round(dense.macs / 1e9, 1)) == (19_507_468, 4492.5)
    found = channels.analyse(wide.body, wide.encode(channels.sample_inputs(3, 24, 32)), prove=False)
    model = found.cost.at_size({layer.name: layer.macs for layer in dense.layers})
    cut = [g for g in found.groups if g.channels == 256]
    kept = np.array([width / 256 if g.channels == 256 else 1.0 for g in found.groups])
    assert len(cut) == 17  # the trunk, and the layer within each of 16 blocks
    assert model.params(kept) == pytest.approx(params, abs=0.5)
    assert model.macs(kept) / 1e9 == pytest.approx(macs, abs=0.005)


@pytest.mark.parametrize(("scale", "params"), [(2, 910_152), (3, 918_267), (4, 929_628)])
def test_the_transformer(scale: int, params: int) -> None:
    network = load(
        f"spandrel.SwinIR(upscale={scale}, embed_dim=60, depths=[6, 6, 6, 6], num_heads=[6, 6, 6, 6], "
        "window_size=8, mlp_ratio=2, img_size=64, upsampler='pixelshuffledirect')"
    )
    assert sum(p.numel() for p in network.body.parameters()) == params


@pytest.mark.parametrize("path", sorted(CONFIGS.glob("*gassl*.yaml")), ids=lambda path: path.stem)
def test_recipes_can_be_asked_for(path: Path) -> None:
    given = yaml.safe_load(path.read_text(encoding="utf-8"))
    assert {"network", "data"} <= given.keys()
    settings = CompressSettings.model_validate(
        {k: v for k, v in given.items() if k not in ("network", "data")}
    )
    request = _request(settings)
    assert request.method == "gassl"
    assert f"x{given['network'].rpartition('x')[2][0]}" in path.stem


def test_the_training_of_the_wide_network() -> None:
    given = yaml.safe_load((CONFIGS / "ledsr.yaml").read_text(encoding="utf-8"))
    assert load(given["network"]).scale == 2
    TrainConfig.model_validate({k: v for k, v in given.items() if k not in ("network", "data", "hold_out")})
