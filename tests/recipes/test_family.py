"""--keep-architecture: plain, narrower members that spandrel loads with no code of ours."""

from pathlib import Path

import pytest
import torch

from espalier.errors import PlanError
from espalier.networks import spandrel
from espalier.networks.load import load
from espalier.networks.network import Network
from espalier.recipes.compress import CompressSettings, compress
from espalier.recipes.family import difference, write_plain
from espalier.recipes.prune import Request, prune
from tests import zoo

MEMBERS = {
    "Compact": "num_feat", "ESRGAN": "num_filters", "SPAN": "feature_channels", "RCAN": "n_feats",
    "SwinIR": "embed_dim", "PLKSR": "dim", "RealPLKSR": "dim", "MoSR": "dim", "SAFMN": "dim", "DITN": "dim",
    "SeemoRe": "embedding_dim", "OmniSR": "num_feat", "Swin2SR": "embed_dim",
}  # fmt: skip


def request(**changed: object) -> Request:
    plain = {
        "budget": "macs=0.75", "method": "magnitude", "criterion": "l2", "allocation": "global", "round_to": 1,
        "protect": (), "seed": 0, "keep_architecture": True,
    }  # fmt: skip
    return Request(**(plain | changed))  # type: ignore[arg-type]


@pytest.mark.parametrize("name", MEMBERS)
def test_spandrel_loads_the_narrower_member_with_equal_outputs(name: str, tmp_path: Path) -> None:
    dense = zoo.network(zoo.find(name))
    made = prune(dense, request(), None)  # type: ignore[arg-type]
    value = made.network.base.arguments[MEMBERS[name]]
    assert 0 < value < dense.base.arguments[MEMBERS[name]]
    assert made.network.plans == ()
    path = tmp_path / "plain.pth"
    assert write_plain(made.network, path) <= 1e-6
    descriptor = spandrel.package().ModelLoader(device="cpu").load_from_file(path)
    image = zoo.image(zoo.find(name), seed=3)
    with torch.no_grad():
        assert torch.allclose(descriptor.model.eval()(image.clone()), made.network(image), atol=1e-6)


def test_the_member_computes_what_the_free_cut_computes() -> None:
    """Though the class derives its attention's scale from the narrower width."""
    dense = zoo.network(zoo.find("SwinIR"))
    scale = dense.body.layers[0].residual_group.blocks[0].attn.scale  # type: ignore[index,union-attr]
    member = prune(dense, request(), None).network  # type: ignore[arg-type]
    assert member.body.layers[0].residual_group.blocks[0].attn.scale > scale  # type: ignore[index,union-attr]


def test_two_networks_of_other_sizes_are_not_equal() -> None:
    assert difference(load("edsr(scale=2, blocks=1)"), load("edsr(scale=3, blocks=1)")) == float("inf")


def test_what_comes_back_as_another_network_is_refused_and_removed(tmp_path: Path) -> None:
    ambiguous: Network = load("edsr(scale=3, blocks=1, channels=12, res_scale=0.1)")
    with pytest.raises(PlanError, match="taken for another network"):
        write_plain(ambiguous, tmp_path / "plain.pth")
    assert not (tmp_path / "plain.pth").exists()


def test_compress_writes_a_plain_checkpoint_beside_the_native_one(photos: Path, tmp_path: Path) -> None:
    settings = CompressSettings(
        keep_architecture=True, recover=2, batch=2, patch=12, timing=False, device="cpu"
    )
    compress("spandrel.Compact(num_feat=8, num_conv=1, upscale=2)", photos, tmp_path / "run", settings)
    plain, native = load(tmp_path / "run" / "plain.pth"), load(tmp_path / "run" / "network.safetensors")
    assert plain.base.arguments["num_feat"] < 8
    assert difference(plain, native) == 0
