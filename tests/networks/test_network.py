"""The common convention: range, luma, enlargement, padding."""

import dataclasses

import pytest
import torch
from torch import Tensor, nn

from espalier.images.color import rgb_to_y, rgb_to_ycbcr
from espalier.images.resize import enlarge, imresize
from espalier.networks.load import load
from espalier.networks.network import Adapter, Base, Network


class Nearest(nn.Module):
    """Repeats pixels; remembers what it was fed."""

    def __init__(self, scale: int = 2) -> None:
        super().__init__()
        self.scale = scale

    def forward(self, x: Tensor) -> Tensor:
        self.seen = x
        return x.repeat_interleave(self.scale, -1).repeat_interleave(self.scale, -2)


class Careless(nn.Module):
    """Multiplies its input in place, as RCAN does."""

    def forward(self, x: Tensor) -> Tensor:
        x *= 255
        return x / 255


def wrap(body: nn.Module, scale: int = 2, **adapter: float) -> Network:
    return Network(body, name="test", scale=scale, base=Base("own", "test"), adapter=Adapter(**adapter))  # type: ignore[arg-type]


def test_range_of_the_network() -> None:
    network = wrap(Nearest(), range=255.0)
    image = torch.rand(1, 3, 5, 6)
    torch.testing.assert_close(network(image), Nearest()(image))
    torch.testing.assert_close(network.body.seen, image * 255)


def test_a_network_that_writes_into_its_input_cannot_reach_the_callers() -> None:
    image = torch.rand(1, 3, 4, 4)
    before = image.clone()
    wrap(Careless(), scale=1)(image)
    assert torch.equal(image, before)


@pytest.mark.parametrize(("height", "width"), [(16, 24), (17, 9), (3, 2), (1, 1)])
def test_padded_to_what_the_network_takes_and_cropped_again(height: int, width: int) -> None:
    network = wrap(Nearest(), multiple_of=8, minimum=16)
    image = torch.rand(1, 3, height, width)
    assert torch.equal(network(image), Nearest()(image))
    seen = network.body.seen.shape[-2:]
    assert all(side % 8 == 0 and side >= 16 for side in seen)


def test_padding_reflects() -> None:
    network = wrap(Nearest(), multiple_of=4)
    image = torch.arange(18.0).reshape(1, 1, 3, 6).repeat(1, 3, 1, 1)
    network(image)
    assert torch.equal(network.body.seen[0, 0, 3], network.body.seen[0, 0, 1])
    assert torch.equal(network.body.seen[0, 0, :, 6], network.body.seen[0, 0, :, 4])


def test_square() -> None:
    network = wrap(Nearest(), square=True, multiple_of=4)
    assert network(torch.rand(1, 3, 5, 9)).shape == (1, 3, 10, 18)
    assert network.body.seen.shape[-2:] == (12, 12)


def test_luma_network_sees_y_and_borrows_chroma() -> None:
    network = wrap(Nearest(), luma=True)
    image = torch.rand(1, 3, 6, 7)
    out = network(image)
    torch.testing.assert_close(network.body.seen * 255, rgb_to_y(image))
    ycbcr = rgb_to_ycbcr(out)
    torch.testing.assert_close(ycbcr[:, :1], Nearest()(rgb_to_y(image)), atol=1e-3, rtol=0)
    torch.testing.assert_close(ycbcr[:, 1:], enlarge(rgb_to_ycbcr(image)[:, 1:], 2), atol=1e-3, rtol=0)
    torch.testing.assert_close(network.luma(image), Nearest()(rgb_to_y(image)), atol=1e-4, rtol=0)


def test_luma_of_a_colour_network_is_the_y_of_its_output() -> None:
    image = torch.rand(1, 3, 6, 7)
    torch.testing.assert_close(wrap(Nearest()).luma(image), rgb_to_y(Nearest()(image)))


def test_enlarged_network_is_fed_the_bytes_of_a_bicubic_enlargement() -> None:
    network = wrap(nn.Identity(), scale=3, enlarged=True)
    pixels = torch.randint(0, 256, (7, 5, 3), dtype=torch.uint8)
    image = pixels.permute(2, 0, 1)[None] / 255
    expected = torch.from_numpy(imresize(pixels.numpy(), 3)).permute(2, 0, 1)[None] / 255
    torch.testing.assert_close(network.encode(image), expected, atol=1e-6, rtol=0)


def test_first_of_several_outputs_is_the_image() -> None:
    class Two(nn.Module):
        def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
            return x, x.mean()

    image = torch.rand(1, 3, 4, 4)
    assert torch.equal(wrap(Two(), scale=1)(image), image)


def test_gradients_reach_the_input() -> None:
    image = torch.rand(1, 3, 9, 9, requires_grad=True)
    load("fsrcnn(scale=2, channels=4, shrunk=2, layers=1)")(image).sum().backward()
    assert image.grad is not None
    assert bool((image.grad != 0).any())


def test_the_least_size_that_fits() -> None:
    assert Adapter().fitting(33, 50) == (33, 50)
    assert Adapter(multiple_of=16).fitting(33, 50) == (48, 64)
    assert Adapter(square=True, minimum=60).fitting(33, 50) == (60, 60)
    assert not Adapter(range=255.0).pads
    assert all(adapter.pads for adapter in (Adapter(multiple_of=2), Adapter(minimum=2), Adapter(square=True)))


def test_adapter_and_base_are_values() -> None:
    assert Adapter() == Adapter(range=1.0)
    with pytest.raises(dataclasses.FrozenInstanceError):
        Adapter().range = 2.0  # type: ignore[misc]
