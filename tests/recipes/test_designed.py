"""The designed networks: the published counts, and the recipes that make them."""

from pathlib import Path

import numpy as np
import pytest
import yaml

from espalier import channels, cli
from espalier.allocation import Budget
from espalier.costs import count
from espalier.methods import gassl
from espalier.methods.gassl.hair import responses, selecting
from espalier.methods.job import Job, cut
from espalier.methods.widths import going_counts
from espalier.networks.load import load
from espalier.networks.network import Network
from espalier.plan import PrunePlan
from espalier.recipes.compress import CompressSettings, _request
from espalier.recipes.config import TrainConfig
from tests.methods.jobs import Trainer, images

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


@pytest.mark.slow
@pytest.mark.parametrize(
    ("scale", "macs", "params"), [(2, 154.05, 671_222), (3, 70.23, 689_395), (4, 39.77, 692_936)]
)
def test_gassl_cuts_the_wide_network_to_its_published_size(scale: int, macs: float, params: int) -> None:
    """A few steps on an untrained network: its widths are not those of a trained one, its size is."""
    wide = ledsr(scale, 256)
    trained = {layer.name: layer.macs for layer in count(wide, SIZES[scale]).layers}
    found = channels.analyse(wide.body, wide.encode(channels.sample_inputs(3, 8, 8)))
    asked = Job(
        wide, found, found.cost.at_size(trained), Budget.parse(f"macs={macs}G"), "l2", gassl.ALLOCATION, 1, (),
        images(scale), 0, gassl.OPTIONS(select=6, steps=2), Trainer(wide, batch=1, patch=8),
    )  # fmt: skip
    counts = going_counts(asked, responses(asked, selecting("short", 6), 5e-2))
    left = {name: found.group(name).channels - going for name, going in counts.items()}
    pruned = cut(wide, found.plan({name: list(range(n)) for name, n in left.items()}))
    cost = count(pruned, SIZES[scale])
    assert 0.995 * macs < cost.macs / 1e9 <= macs
    assert cost.params == pytest.approx(params, rel=5e-3)
    assert len(set(left.values())) > 8  # layers differ


SMALLER = {
    "ledsr": "edsr(scale={scale}, blocks=3, channels=12, upsampler='light')",
    "swinir": "spandrel.SwinIR(upscale={scale}, embed_dim=12, depths=[2], num_heads=[2], window_size=4, "
    "mlp_ratio=2, img_size=16, upsampler='pixelshuffledirect')",
}


@pytest.mark.parametrize(
    "path",
    [
        pytest.param(path, id=path.stem, marks=[] if "x2" in path.stem else [pytest.mark.slow])
        for path in sorted(CONFIGS.glob("*gassl*.yaml"))
    ],
)
def test_recipes_run_in_small(path: Path, photos: Path, tmp_path: Path) -> None:
    """As written, but for fewer steps, a smaller network of the kind and a share instead of the published MACs."""
    scale = int(path.stem[-1])
    network = SMALLER[path.stem.partition("_")[0]].format(scale=scale)
    short = {"batch": "2", "patch": "8", "recover": "2", "options.schedule": "short", "options.steps": "4"}
    told = {**short, "options.select": "4", "budget": "macs=0.4", "device": "cpu"}
    flags = [word for name, value in told.items() for word in (f"--{name}", value)] + ["--no-timing"]
    where = [
        "--config",
        str(path),
        "--network",
        network,
        "--data",
        str(photos),
        "--out",
        str(tmp_path / "run"),
    ]
    cli.run(cli.split(["compress", *where, *flags]))
    plan = PrunePlan.from_json((tmp_path / "run" / "plan.json").read_text())
    assert plan.notes["method"] == "gassl"
    assert float(plan.notes["macs"]) <= 0.4
    assert load(tmp_path / "run" / "network.safetensors").scale == scale
