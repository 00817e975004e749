"""Patches: a pure function of seed, step and index; HR and LR show the same place, turned alike."""

import numpy as np
import pytest
import torch
from torch import Tensor

from espalier.data import PackedImages, Patches
from espalier.errors import ImageError
from espalier.images.folder import SkippedImageWarning

SIZES = [(9, 7), (6, 12), (4, 4)]


def coordinates(scale: int) -> PackedImages:
    """Images whose colours tell image, row and column of the LR pixel; HR repeats each pixel."""
    rows, places, first = [], [], 0
    for number, (height, width) in enumerate(SIZES):
        y, x = np.mgrid[:height, :width]
        lr = np.stack([np.full_like(y, number), y, x], 2).astype(np.uint8)
        hr = lr.repeat(scale, 0).repeat(scale, 1)
        places.append([first, *hr.shape[:2], first + hr.size // 3, height, width])
        first += (hr.size + lr.size) // 3
        rows += [hr.reshape(-1, 3), lr.reshape(-1, 3)]
    pixels = torch.from_numpy(np.concatenate(rows))
    return PackedImages(pixels, np.array(places), ("a", "b", "c"), scale)


def test_parts_of_a_batch_are_the_batch() -> None:
    patches = Patches(coordinates(2), 3, seed=4)
    whole = patches.batch(7, 0, 6)
    parts = [patches.batch(7, first, 2) for first in (0, 2, 4)]
    for i in range(2):
        assert torch.equal(whole[i], torch.cat([part[i] for part in parts]))


def test_step_and_seed_make_other_patches() -> None:
    patches = Patches(coordinates(2), 3, seed=4)
    lr = patches.batch(7, 0, 8)[0]
    assert torch.equal(lr, Patches(coordinates(2), 3, seed=4).batch(7, 0, 8)[0])
    assert not torch.equal(lr, patches.batch(8, 0, 8)[0])
    assert not torch.equal(lr, Patches(coordinates(2), 3, seed=5).batch(7, 0, 8)[0])


@pytest.mark.parametrize("scale", [2, 3])
def test_hr_and_lr_show_the_same_place(scale: int) -> None:
    lr, hr = Patches(coordinates(scale), 3).batch(0, 0, 64)
    assert lr.shape == (64, 3, 3, 3)
    assert hr.shape == (64, 3, 3 * scale, 3 * scale)
    assert torch.equal(hr, lr.repeat_interleave(scale, 2).repeat_interleave(scale, 3))


def test_patches_lie_inside_one_image_and_reach_every_place() -> None:
    lr = (Patches(coordinates(2), 3, augment=False).batch(0, 0, 2000)[0] * 255).round().long()
    number, top, left = lr[:, 0, 0, 0], lr[:, 1, 0, 0], lr[:, 2, 0, 0]
    assert (lr[:, 0] == number.view(-1, 1, 1)).all()
    assert torch.equal(lr[:, 1], (top.view(-1, 1) + torch.arange(3)).unsqueeze(2).expand(-1, -1, 3))
    assert torch.equal(lr[:, 2], (left.view(-1, 1) + torch.arange(3)).unsqueeze(1).expand(-1, 3, -1))
    places = set(zip(number.tolist(), top.tolist(), left.tolist()))
    assert len(places) == sum((height - 2) * (width - 2) for height, width in SIZES)


def way(patch: Tensor) -> tuple[int, ...]:
    """How rows and columns run over a patch."""
    rows, columns = patch[1] * 255, patch[2] * 255
    steps = (
        rows[1, 0] - rows[0, 0],
        rows[0, 1] - rows[0, 0],
        columns[1, 0] - columns[0, 0],
        columns[0, 1] - columns[0, 0],
    )
    return tuple(int(torch.round(step)) for step in steps)


def test_all_eight_ways_appear() -> None:
    lr = Patches(coordinates(2), 3).batch(0, 0, 200)[0]
    assert len({way(patch) for patch in lr}) == 8
    straight = Patches(coordinates(2), 3, augment=False).batch(0, 0, 50)[0]
    assert {way(patch) for patch in straight} == {(1, 0, 0, 1)}


def test_small_images_are_left_out_and_named() -> None:
    with pytest.warns(
        SkippedImageWarning, match="1 of 3 images are smaller than a patch of 6 LR pixels.*drawn: c$"
    ):
        patches = Patches(coordinates(2), 6)
    lr = patches.batch(0, 0, 100)[0]
    assert set((lr[:, 0] * 255).round().long().unique().tolist()) == {0, 1}


def test_no_image_large_enough() -> None:
    with pytest.raises(ImageError, match="no image is as large as a patch: 10x10 LR pixels are 20 pixels"):
        Patches(coordinates(2), 10)


def test_a_degradation_sees_its_own_random_stream() -> None:
    def degradation(hr: Tensor, scale: int, generator: np.random.Generator) -> Tensor:
        return hr[:, ::scale, ::scale] + generator.random()

    patches = Patches(coordinates(2), 3, degradation=degradation)
    lr, hr = patches.batch(3, 0, 4)
    noise = (lr - hr[:, :, ::2, ::2])[:, 0, 0, 0]
    assert noise.unique().numel() == 4
    assert torch.equal(patches.batch(3, 2, 2)[0], lr[2:])
