"""Sets of images for training: packed folders or tar shards, and how to validate on the way."""

import contextlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch

from espalier.data import PackedImages, pack
from espalier.data.shards import Shards, ShardSettings
from espalier.recipes.config import TrainConfig
from espalier.recipes.console import counting, say
from espalier.training import psnr_on
from espalier.training.device import images_on
from espalier.training.distributed import Workers
from espalier.training.step import Batches
from espalier.training.validation import Validation, on_sets

HELD_OUT = 8
"""Images kept for validation at most, where none are given: a twentieth of the set."""
VALIDATED = 3
"""Test images that training is watched on."""
TAR = (".tar", ".tar.gz", ".tgz")


@dataclass(frozen=True)
class Material:
    """The images of a run, apart."""

    train: PackedImages
    test: PackedImages
    name: str
    """Of the test set."""

    @property
    def validation(self) -> Validation:
        return watched_on(self.test)


def watched_on(test: PackedImages) -> Validation:
    """PSNR on the first few test images, for the progress of a training."""
    return psnr_on(test.take(range(min(VALIDATED, len(test)))))


@contextlib.contextmanager
def first_filling_the_cache(workers: Workers) -> Iterator[None]:
    """The first worker goes ahead; the others find the cache filled."""
    if workers.rank:
        workers.wait()
    yield
    if not workers.rank:
        workers.wait()


def packed(folders: Sequence[str | Path], scale: int, workers: Workers) -> PackedImages:
    """The images of some folders as one set; the first worker says how many, and the size and place of their cache.

    Raises:
        ImageError: no such folder, or no usable image in them.
    """
    with counting("packing images") as told:
        images = pack(folders, scale, progress=told)
    if not workers.writes:
        return images
    skipped = f", {len(images.skipped)} skipped" if images.skipped else ""
    say(f"{len(images)} images{skipped}: {images.pixels.nbytes / 1e6:.1f} MB of pixels in {images.file}")
    return images


def material(
    data: Sequence[str | Path], test: Path | None, hold_out: int, scale: int, workers: Workers
) -> Material:
    """Images to train on, and others to measure on: of another folder, or held out.

    Raises:
        ImageError: a folder is missing or holds no usable image.
    """
    with first_filling_the_cache(workers):
        images = packed(data, scale, workers)
        others = None if test is None else packed([test], scale, workers)
    if others is not None and test is not None:
        return Material(images, others, test.resolve().name)
    train, held = images.hold_out(min(hold_out, max(1, len(images) // 4)))
    return Material(
        train, held, f"images held out of {', '.join(Path(each).resolve().name for each in data)}"
    )


def opened(
    data: list[str],
    validation: list[Path] | None,
    hold_out: int | None,
    *,
    scale: int,
    train: TrainConfig,
    place: torch.device,
    workers: Workers,
) -> tuple[Batches, Validation | None]:
    """Patches to train on, and how to validate: `data` are folders, or tar files: paths, addresses, commands.

    Raises:
        ImageError: there is nothing to train on.
    """
    if all(name.endswith(TAR) or "://" in name or name.startswith("pipe:") for name in data):
        settings = ShardSettings(scale, train.patch, train.seed, train.augment, train.degrade())
        held = {folder.name: packed([folder], scale, workers) for folder in validation or []}
        shards = Shards(data, settings, rank=workers.rank, workers=workers.count)
        return shards, on_sets(held) if held else None
    images, validate = split(data, validation, hold_out, scale=scale, workers=workers)
    return train.patches(images_on(images, place)), validate


def split(
    data: list[str], validation: list[Path] | None, hold_out: int | None, *, scale: int, workers: Workers
) -> tuple[PackedImages, Validation | None]:
    """Packed images to train on, and those of other folders or of the same held out to validate on."""
    with first_filling_the_cache(workers):
        images = packed(data, scale, workers)
        held = {folder.name: packed([folder], scale, workers) for folder in validation or []}
    count = min(HELD_OUT, len(images) // 20) if hold_out is None else hold_out
    if held:
        return images, on_sets(held)
    if not count:
        return images, None
    images, kept = images.hold_out(count)
    return images, psnr_on(kept)
