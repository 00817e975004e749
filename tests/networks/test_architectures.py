"""Every architecture of ours: found, built, run, recognised again from its tensors."""

import pytest
import torch

from espalier.networks import own
from espalier.networks.architectures.imdn import ContrastAttention
from espalier.networks.load import from_constructor, load
from espalier.networks.network import Network
from tests.networks.zoo import TINY


def random_network(reference: str) -> Network:
    network = load(reference)
    generator = torch.Generator().manual_seed(1)
    for tensor in network.body.parameters():
        tensor.data += 0.02 * torch.randn(tensor.shape, generator=generator)
    return network


def test_every_file_is_in_the_zoo() -> None:
    assert own.names() == sorted(TINY)


@pytest.mark.parametrize("name", TINY)
def test_output_is_scale_times_as_large_and_the_input_is_not_touched(name: str) -> None:
    network = random_network(TINY[name])
    image = torch.rand(2, 3, 21, 26)
    before = image.clone()
    with torch.no_grad():
        out = network(image)
    assert out.shape == (2, 3, 21 * network.scale, 26 * network.scale)
    assert torch.isfinite(out).all()
    assert torch.equal(image, before)


@pytest.mark.parametrize("name", TINY)
def test_body_does_not_write_into_its_input(name: str) -> None:
    network = random_network(TINY[name])
    native = network.encode(torch.rand(1, 3, 24, 24))
    before = native.clone()
    with torch.no_grad():
        network.body(native)
    assert torch.equal(native, before)


@pytest.mark.parametrize("name", TINY)
def test_recognised_from_its_own_tensors(name: str) -> None:
    network = random_network(TINY[name])
    found = own.recognise(network.body.state_dict(), network.scale)
    assert found is not None
    assert found[0] == name
    again = own.build(name, found[1].arguments)
    again.load_state_dict(dict(found[1].state))
    native = network.encode(torch.rand(1, 3, 24, 24))
    with torch.no_grad():
        assert torch.equal(again(native), network.body(native))


@pytest.mark.parametrize("cascades", [[1], [2, 2], [3, 1, 1]])
def test_the_cascades_of_a_smaller_drln_are_read_off_its_fusions(cascades: list[int]) -> None:
    state = load(f"drln(scale=2, channels=16, cascades={cascades})").body.state_dict()
    found = own.recognise(state)
    assert found is not None
    assert found[1].arguments == {"scale": 2, "channels": 16, "cascades": cascades}


@pytest.mark.parametrize("name", TINY)
def test_trains_through_the_whole_network(name: str) -> None:
    network = random_network(TINY[name]).train()
    network(torch.rand(2, 3, 24, 24)).square().mean().backward()
    silent = {key for key, tensor in network.named_parameters() if tensor.grad is None}
    # DRLN's authors compute c4 and never read it
    assert silent == ({"body.c4.body.0.weight", "body.c4.body.0.bias"} if name == "drln" else set())


@pytest.mark.parametrize(
    ("reference", "parameters"),
    [
        ("edsr", 1_369_859),  # paper: 1.37 M
        ("edsr(scale=4, blocks=32, channels=256, res_scale=0.1)", 43_089_923),  # 43.1 M
        ("edsr(scale=2, channels=48, upsampler='light')", 692_412),  # ASSL, table 3: 692 K
        ("edsr(scale=4, channels=48, upsampler='light')", 708_000),
        ("imdn", 715_176),
        ("imdn(scale=2)", 694_404),
        ("rfdn", 433_448),
        ("rlfn(blocks=4, channels=46, mid_channels=48)", 317_218),
        ("pan", 272_419),
        ("msrresnet", 1_517_571),
        ("srresnet", 1_549_462),
        ("vdsr", 664_704),
        ("fsrcnn", 12_809),
        ("smfanet", 197_328),
        ("fmen", 341_066),
        ("bsrn", 156_288),
        ("quicksrnet(copies=4)", 441_072),
        ("span(channels=28)", 150_688),
        ("drln", 34_577_843),  # paper: 34 M
    ],
)
def test_published_sizes(reference: str, parameters: int) -> None:
    with torch.device("meta"):
        network = from_constructor(reference)
    assert sum(tensor.numel() for tensor in network.body.parameters()) == parameters


@pytest.mark.parametrize("scale", [2, 3, 4, 8])
@pytest.mark.parametrize("name", ["edsr", "rnet", "carn", "drln"])
def test_scales_of_the_shuffling_upsamplers(name: str, scale: int) -> None:
    network = load(TINY[name].replace(f"scale={load(TINY[name]).scale}", f"scale={scale}"))
    found = own.recognise(network.body.state_dict())
    assert found is not None
    assert found[1].arguments["scale"] == scale
    with torch.no_grad():
        assert network(torch.rand(1, 3, 9, 8)).shape == (1, 3, 9 * scale, 8 * scale)


def test_a_channel_of_nothing_has_a_gradient_in_contrast_attention() -> None:
    x = torch.rand(1, 16, 4, 4)
    x[:, 3] = 0
    x.requires_grad_()
    ContrastAttention(16)(x).square().sum().backward()
    assert x.grad is not None
    assert bool(x.grad.isfinite().all())
