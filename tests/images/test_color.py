import pytest
import torch

from espalier.images.color import rgb_to_y, rgb_to_ycbcr, ycbcr_to_rgb


def test_black_white_and_red_are_where_the_standard_puts_them():
    colours = torch.tensor([[0.0, 0, 0], [1, 1, 1], [1, 0, 0]], dtype=torch.float64).view(3, 3, 1, 1)
    expected = torch.tensor([[16.0, 128, 128], [235, 128, 128], [81.481, 90.203, 240]], dtype=torch.float64)
    torch.testing.assert_close(rgb_to_ycbcr(colours).view(3, 3), expected, atol=1e-3, rtol=0)


def test_y_is_the_first_plane():
    image = torch.rand(2, 3, 5, 4)
    torch.testing.assert_close(rgb_to_y(image), rgb_to_ycbcr(image)[:, :1])


@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float32, 2e-6), (torch.float64, 1e-14)])
def test_there_and_back(dtype, tolerance):
    image = torch.rand(2, 3, 6, 5, dtype=dtype)
    torch.testing.assert_close(ycbcr_to_rgb(rgb_to_ycbcr(image)), image, atol=tolerance, rtol=0)


def test_values_outside_the_range_are_kept():
    image = torch.tensor([-0.5, 1.5, 2.0], dtype=torch.float64).view(1, 3, 1, 1)
    torch.testing.assert_close(ycbcr_to_rgb(rgb_to_ycbcr(image)), image)
