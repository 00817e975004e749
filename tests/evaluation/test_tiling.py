import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from espalier.evaluation.tiling import bytes_per_pixel, fitting_tile, parts, tiled
from tests.evaluation.networks import Convolutions, network


@given(st.integers(1, 500), st.integers(1, 200), st.integers(0, 40))
def test_parts_cover_an_axis_once(length, tile, overlap):
    found = parts(length, tile, overlap)
    kept = [place for part in found for place in range(part.start, part.stop)]
    assert kept == list(range(length))
    for part in found:
        assert part.read_start == max(0, part.start - -(-overlap // 16) * 16)
        assert part.start - part.read_start >= min(overlap, part.start)
        assert part.read_stop - part.stop >= min(overlap, length - part.stop)
        assert part.stop - part.start <= -(-tile // 16) * 16
        assert part.read_start % 16 == 0


@pytest.mark.parametrize("tile", [8, 24, 40, 1000])
@pytest.mark.parametrize("scale", [2, 3])
def test_no_seams_where_the_overlap_covers_the_reach(tile, scale):
    net = Convolutions(5, scale)
    image = torch.rand(1, 3, 61, 45)
    with torch.no_grad():
        difference = (tiled(net, image, scale, tile, overlap=5) - net(image)).abs().max()
    assert difference < 1e-5


def test_seams_show_without_overlap():
    net = Convolutions(5)
    image = torch.rand(1, 3, 40, 40)
    with torch.no_grad():
        assert (tiled(net, image, 2, 16, overlap=0) - net(image)).abs().max() > 1e-3


def test_no_seams_on_a_real_network_and_photograph(real_data):
    from espalier.images.io import read_image, to_tensor
    from espalier.networks.load import load

    net = load(real_data / "weights" / "SPAN" / "team00_SPAN.pth")
    image = to_tensor(read_image(real_data / "sets" / "Set14" / "HR" / "baboon.png"))[..., :150, :170]
    with torch.no_grad():
        difference = (tiled(net, image, 4, 64) - net(image)).abs().max()
    assert difference < 1e-4


def test_windows_lie_as_in_the_whole_image():
    def mean_of_windows(x: torch.Tensor) -> torch.Tensor:
        means = torch.nn.functional.avg_pool2d(x, 16)
        return means.repeat_interleave(16, 2).repeat_interleave(16, 3)

    image = torch.rand(1, 3, 96, 64)
    torch.testing.assert_close(tiled(mean_of_windows, image, 1, 30, overlap=3), mean_of_windows(image))


def test_finish_is_applied_to_every_part():
    sizes = []

    def finish(out: torch.Tensor) -> torch.Tensor:
        sizes.append(out.shape[-1])
        return out.to(torch.uint8)

    result = tiled(lambda x: x, torch.full((1, 3, 32, 64), 7.9), 1, 32, finish=finish)
    assert result.dtype == torch.uint8
    assert (result == 7).all()
    assert sizes == [32, 32]


def test_the_tile_that_fits():
    net = network(Convolutions(3, width=100))
    assert bytes_per_pixel(net) >= 4 * 100 * 2
    assert fitting_tile(net)((1, 1)) is None
    assert fitting_tile(net, limit=10**8)((100, 100)) is None
    tile = fitting_tile(net, limit=10**9)((3000, 4000))
    assert tile is not None
    assert 0.8e9 <= (tile + 64) ** 2 * bytes_per_pixel(net) <= 1e9
    assert fitting_tile(net, limit=10**5)((100, 100)) == 64
