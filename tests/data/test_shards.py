"""Tar shards: repeatable, split over workers, resumed by number."""

import gc
import io
import sys
import tarfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from espalier.data.shards import Shards, ShardSettings
from espalier.errors import ImageError, MissingExtraError

# webdataset leaves its file open when a stream is dropped before its end.
pytestmark = pytest.mark.filterwarnings("ignore::ResourceWarning")
SETTINGS = ShardSettings(scale=2, patch=4, window=3, per_image=4, augment=False)


@pytest.fixture(autouse=True)
def collected() -> Iterator[None]:
    """Streams are gone before the next test, which would be blamed for their open files."""
    yield
    gc.collect()


@pytest.fixture
def shards(tmp_path: Path) -> list[str]:
    """Three shards of four images, each of one grey that tells its number."""
    pytest.importorskip("webdataset")
    names = []
    for shard in range(3):
        names.append(str(tmp_path / f"{shard:03d}.tar"))
        with tarfile.open(names[-1], "w") as tar:
            for index in range(4):
                file = io.BytesIO()
                Image.fromarray(np.full((16, 12, 3), 10 * (4 * shard + index), np.uint8)).save(file, "PNG")
                info = tarfile.TarInfo(f"{index:04d}.png")
                info.size = file.tell()
                file.seek(0)
                tar.addfile(info, file)
    return names


def numbers(stream: Shards, steps: range) -> list[set[int]]:
    """Which images each step's patches come from."""
    return [set((stream.batch(s, 0, 4)[1][:, 0, 0, 0] * 25.5).round().int().tolist()) for s in steps]


def test_patches_and_their_order_repeat(shards: list[str]) -> None:
    first, second = (Shards(shards, SETTINGS) for _ in range(2))
    for step in range(8):
        one, two = first.batch(step, 0, 4), second.batch(step, 0, 4)
        assert one[0].shape == (4, 3, 4, 4)
        assert one[1].shape == (4, 3, 8, 8)
        assert torch.equal(one[1], two[1])


def test_going_on_at_a_later_step_and_back(shards: list[str]) -> None:
    whole = Shards(shards, SETTINGS)
    expected = [whole.batch(step, 0, 4)[1] for step in range(20)]
    assert torch.equal(Shards(shards, SETTINGS).batch(17, 0, 4)[1], expected[17])
    assert torch.equal(whole.batch(3, 0, 4)[1], expected[3])


def test_all_images_are_seen(shards: list[str]) -> None:
    assert set.union(*numbers(Shards(shards, SETTINGS), range(40))) == set(range(12))


def test_workers_read_different_shards(shards: list[str]) -> None:
    one, two = (Shards(shards, SETTINGS, rank=rank, workers=2) for rank in (0, 1))
    first = (numbers(one, range(1))[0], numbers(two, range(1))[0])
    assert not first[0] & first[1]
    with pytest.raises(ImageError, match="3 shards cannot be split over 4 workers"):
        Shards(shards, SETTINGS, workers=4)


def test_a_shard_without_images(tmp_path: Path) -> None:
    pytest.importorskip("webdataset")
    with tarfile.open(tmp_path / "empty.tar", "w") as tar:
        tar.addfile(tarfile.TarInfo("note.txt"))
    with pytest.raises(ImageError, match="no images in the shards"):
        Shards([str(tmp_path / "empty.tar")], SETTINGS)


def test_without_webdataset_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "webdataset", None)
    with pytest.raises(MissingExtraError, match=r"espalier\[shards\]"):
        Shards(["a.tar"], SETTINGS)
