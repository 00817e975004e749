"""spandrel's networks through one door."""

from pathlib import Path

import pytest
import torch

from espalier.networks import spandrel
from espalier.networks.file import save
from espalier.networks.load import from_state, load
from tests import zoo


def test_all_architectures_are_there() -> None:
    assert len(spandrel.families()) >= 42
    assert spandrel.find_class("SwinIR").__name__ == "SwinIR"
    assert spandrel.find_class("Compact") is spandrel.find_class("SRVGGNetCompact")
    assert spandrel.find_class("ESRGAN") is spandrel.find_class("RRDBNet")
    assert spandrel.find_class("RealPLKSR") is spandrel.find_class("PLKSR.RealPLKSR")
    assert spandrel.find_class("DITN.DITN_Real") is spandrel.find_class("DITN")


def test_only_spandrels_own_classes_are_built() -> None:
    with pytest.raises(Exception, match="no class of"):
        spandrel.build("subprocess:Popen", {"args": "true"})


@pytest.mark.parametrize(
    ("reference", "scale", "multiple_of"),
    [
        ("spandrel.Compact(num_feat=8, num_conv=2, upscale=4)", 4, 1),
        ("spandrel.SAFMN(dim=8, n_blocks=1, upscaling_factor=2)", 2, 8),
        ("spandrel.RealPLKSR(dim=8, n_blocks=1, upscaling_factor=3)", 3, 1),
        ("spandrel.SwinIR(embed_dim=12, depths=[2], num_heads=[2], window_size=8, upscale=2, "
         "upsampler='pixelshuffledirect')", 2, 1),
        ("spandrel.RCAN(n_resgroups=1, n_resblocks=1, n_feats=16)", 4, 1),
        ("spandrel.UpCunet2x()", 2, 1),
    ],
)  # fmt: skip
def test_runs_and_leaves_the_input_alone(reference: str, scale: int, multiple_of: int) -> None:
    network = load(reference)
    assert (network.scale, network.adapter.multiple_of) == (scale, multiple_of)
    image = torch.rand(1, 3, 19, 21)
    before = image.clone()
    with torch.no_grad():
        assert network(image).shape == (1, 3, 19 * scale, 21 * scale)
    assert torch.equal(image, before)


def test_a_checkpoint_is_recognised_with_all_it_takes_to_rebuild(tmp_path) -> None:
    fresh = load("spandrel.Compact(num_in_ch=3, num_out_ch=3, num_feat=8, num_conv=2, upscale=2)")
    found = from_state(fresh.body.state_dict(), tmp_path / "net.pth")
    assert found.name == "Compact"
    again = spandrel.build(found.base.name, found.base.arguments)
    again.load_state_dict(found.body.state_dict())
    image = torch.rand(1, 3, 8, 8)
    with torch.no_grad():
        assert torch.equal(again.eval()(image), fresh(image))


def test_size_that_only_squares_fit() -> None:
    network = load(
        "spandrel.IPT(patch_size=16, patch_dim=2, n_feats=8, scale=[2], num_heads=2, num_layers=1)"
    )
    assert (network.adapter.square, network.adapter.range, network.scale) == (True, 255.0, 2)


@pytest.mark.parametrize("inner", ["SwinIR", "ESRGAN"])
def test_classes_as_defaults_and_lists_called_model_are_no_hindrance(inner: str, tmp_path: Path) -> None:
    """SwinIR's norm_layer is a class; all of ESRGAN's names begin with "model.0", as wrappers' names do."""
    network = zoo.network(zoo.find(inner))
    torch.save({"params": network.body.state_dict()}, tmp_path / "x4.pth")
    again = load(tmp_path / "x4.pth")
    image = torch.rand(1, 3, 16, 16)
    with torch.no_grad():
        assert torch.equal(again(image), network(image))
    save(again, tmp_path / "native.safetensors")
    with torch.no_grad():
        assert torch.equal(load(tmp_path / "native.safetensors")(image), network(image))
