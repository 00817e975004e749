"""Widths: the arguments of a class that make its axes wide; plain checkpoints."""

from pathlib import Path

import pytest
import torch

from espalier.errors import NetworkError
from espalier.networks.family import arguments, narrowed, plain_state, save_plain, widths
from espalier.networks.load import load
from espalier.networks.network import Base, Network
from espalier.networks.prepare import prepare
from espalier.plan import PrunePlan

COMPACT = "spandrel.Compact(num_feat=12, num_conv=2, upscale=4)"
SPAN = "spandrel.SPAN(num_in_ch=3, num_out_ch=3, feature_channels=12)"


def test_the_width_of_a_chain_moves_every_inner_axis() -> None:
    found = {width.argument: width for width in widths(load(COMPACT))}
    assert found["num_feat"].value == 12
    assert found["num_feat"].growth["body.2.weight", 0] == 12
    assert ("body.0.weight", 1) not in found["num_feat"].growth
    assert "num_conv" not in found


def test_widths_are_found_without_touching_random_numbers() -> None:
    network = load(
        "spandrel.PLKSR.PLKSR(dim=16, n_blocks=1, kernel_size=5)"
    )  # its weights are drawn by rejection
    torch.manual_seed(3)
    expected = torch.rand(1)
    torch.manual_seed(3)
    assert "dim" in [width.argument for width in widths(network)]
    assert torch.equal(torch.rand(1), expected)


def test_defaults_of_the_class_are_arguments_too() -> None:
    assert arguments(load("spandrel.RCAN(n_resblocks=2)"))["n_feats"] == 64
    assert arguments(load("edsr(scale=2, blocks=1)"))["channels"] == 64


def test_a_narrowed_network_has_the_new_argument_in_its_base() -> None:
    smaller = narrowed(load(COMPACT), {"num_feat": 5})
    assert smaller.base.arguments == {"num_feat": 5, "num_conv": 2, "upscale": 4}
    assert smaller.body.state_dict()["body.0.weight"].shape[0] == 5


def test_what_was_pruned_or_comes_from_a_function_has_no_widths() -> None:
    network = load(COMPACT)
    network.plans = (PrunePlan(()),)
    with pytest.raises(NetworkError, match="pruned already"):
        widths(network)
    with pytest.raises(NetworkError, match="pruned freely"):
        plain_state(network)
    own = Network(torch.nn.Conv2d(3, 3, 3), name="f", scale=1, base=Base("factory", "a:f"))
    with pytest.raises(NetworkError, match="takes no widths"):
        widths(own)


@pytest.mark.parametrize("suffix", ["pth", "safetensors"])
def test_folded_branches_are_put_back_in_a_plain_checkpoint(tmp_path: Path, suffix: str) -> None:
    network = prepare(load(SPAN))
    save_plain(network, tmp_path / f"plain.{suffix}")
    again = load(tmp_path / f"plain.{suffix}")
    image = torch.rand(1, 3, 12, 16)
    assert "block_1.c1_r.sk.weight" in again.body.state_dict()
    with torch.no_grad():
        assert torch.allclose(again(image), network(image), atol=1e-6)
