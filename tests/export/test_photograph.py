"""Files are compared on what an image shows."""

import torch

from espalier.export.photograph import part, photograph


def test_a_photograph_with_light_and_shade() -> None:
    image = photograph()
    assert image.shape[:2] == (1, 3)
    assert part(image, (40, 56)).std() > 0.1
    assert 0 <= image.min() < image.max() <= 1


def test_only_the_middle_of_an_image_is_looked_at() -> None:
    image = torch.zeros(1, 3, 100, 100)
    image[..., 40:60, 45:55] = 1
    assert part(image, (20, 10)).min() == 1


def test_a_small_image_is_repeated() -> None:
    assert part(torch.ones(1, 3, 30, 30), (61, 47)).shape == (1, 3, 61, 47)
