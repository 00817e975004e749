"""EDSR under the names of other code bases."""

import pytest
import torch

from espalier.networks import own
from espalier.networks.layers import DIV2K_MEAN
from espalier.networks.load import load
from espalier.networks.recognise import rename


def edsr_pytorch_state(peak: float) -> dict[str, torch.Tensor]:
    """Tensors as EDSR-PyTorch names them: the mean colours are 1x1 convolutions."""
    state = dict(load("edsr(scale=4, blocks=3, channels=6)").body.state_dict())
    for name, sign in (("sub_mean", -1), ("add_mean", 1)):
        del state[f"{name}.shift"]
        state[f"{name}.weight"] = torch.eye(3).reshape(3, 3, 1, 1)
        state[f"{name}.bias"] = sign * peak * torch.tensor(DIV2K_MEAN)
    return state


@pytest.mark.parametrize("peak", [255.0, 1.0])
def test_edsr_pytorch(peak: float) -> None:
    found = own.recognise(edsr_pytorch_state(peak))
    assert found is not None
    name, recognised = found
    assert name == "edsr"
    assert recognised.arguments == {
        "scale": 4,
        "blocks": 3,
        "channels": 6,
        "upsampler": "full",
        "peak": peak,
    }
    assert own.adapter(name, recognised.arguments).range == peak
    own.build(name, recognised.arguments).load_state_dict(dict(recognised.state))


def test_basicsr() -> None:
    network = load("edsr(scale=3, blocks=2, channels=6)")
    table = {
        r"head\.0\.": "conv_first.",
        r"body\.([01])\.body\.0\.": r"body.\1.conv1.",
        r"body\.([01])\.body\.2\.": r"body.\1.conv2.",
        r"body\.2\.": "conv_after_body.",
        r"tail\.0\.": "upsample.",
        r"tail\.1\.": "conv_last.",
    }
    state = {name: t for name, t in network.body.state_dict().items() if "mean" not in name}
    found = own.recognise(rename(state, table))
    assert found is not None
    name, recognised = found
    body = own.build(name, recognised.arguments)
    body.load_state_dict(dict(recognised.state))
    image = 255 * torch.rand(1, 3, 8, 8)
    with torch.no_grad():
        assert torch.equal(body(image), network.body(image))


def test_full_size_edsr_scales_its_residuals() -> None:
    with torch.device("meta"):
        wide = own.build("edsr", {"scale": 2, "blocks": 1, "channels": 256}).state_dict()
        light = own.build(
            "edsr", {"scale": 2, "blocks": 1, "channels": 256, "upsampler": "light"}
        ).state_dict()
    cpu = [{name: torch.zeros(t.shape) for name, t in state.items()} for state in (wide, light)]
    full, lite = (own.recognise(state) for state in cpu)
    assert full is not None
    assert full[1].arguments["res_scale"] == 0.1
    assert lite is not None
    assert "res_scale" not in lite[1].arguments
