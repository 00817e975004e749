"""Tar shards: repeatable, split over workers, resumed by number."""

import gc
import io
import shutil
import sys
import tarfile
import threading
from collections.abc import Iterator, Mapping
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from espalier.data.shards import Shards, ShardSettings
from espalier.errors import ImageError, MissingExtraError
from espalier.images.folder import SkippedImageWarning

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
        write(names[-1], {f"{i:04d}.png": png(10 * (4 * shard + i)) for i in range(4)})
    return names


def png(grey: int, height: int = 16, width: int = 12) -> bytes:
    file = io.BytesIO()
    Image.fromarray(np.full((height, width, 3), grey, np.uint8)).save(file, "PNG")
    return file.getvalue()


def write(path: str | Path, files: Mapping[str, bytes]) -> None:
    """A tar file of these files."""
    with tarfile.open(path, "w") as tar:
        for name, content in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))


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


@pytest.fixture
def served(shards: list[str]) -> Iterator[str]:
    """The shards on a web server of this machine."""
    handler = partial(QuietHandler, directory=str(Path(shards[0]).parent))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


class QuietHandler(SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        pass


def test_addresses_and_commands_give_what_paths_give(shards: list[str], served: str) -> None:
    expected = Shards(shards, SETTINGS).batch(0, 0, 4)[1]
    others = [[f"file:{path}" for path in shards], [f"pipe:cat {path}" for path in shards]]
    if shutil.which("curl"):  # what webdataset fetches with
        others.append([f"{served}/{Path(path).name}" for path in shards])
    for names in others:
        assert torch.equal(Shards(names, SETTINGS).batch(0, 0, 4)[1], expected)


def test_braces_stand_for_many(shards: list[str]) -> None:
    pattern = str(Path(shards[0]).with_name("{000..002}.tar"))
    one, two = Shards([pattern], SETTINGS, workers=2), Shards(shards, SETTINGS, workers=2)
    assert torch.equal(one.batch(0, 0, 4)[1], two.batch(0, 0, 4)[1])


@pytest.mark.parametrize("name", ["missing.tar", "pipe:false", "cut.tar"])
def test_a_shard_that_cannot_be_read_is_named(tmp_path: Path, shards: list[str], name: str) -> None:
    (tmp_path / "cut.tar").write_bytes(Path(shards[0]).read_bytes()[:530])
    with pytest.raises(ImageError, match=f"cannot read the shard .*{name}: "):
        Shards([name if ":" in name else str(tmp_path / name)], SETTINGS).batch(0, 0, 4)


def test_images_that_cannot_be_used_are_named_and_passed_over(tmp_path: Path) -> None:
    pytest.importorskip("webdataset")
    write(tmp_path / "a.tar", {"0.png": b"no image", "1.png": png(40), "2.png": png(80, 4, 4)})
    stream = Shards([str(tmp_path / "a.tar")], SETTINGS)
    with pytest.warns(SkippedImageWarning) as told:
        assert set.union(*numbers(stream, range(4))) == {4}
    messages = {str(warning.message) for warning in told}
    assert any("0.png" in message for message in messages)
    assert any("2.png: 2x2 LR pixels are smaller than a patch of 4" in message for message in messages)


def test_nothing_but_damaged_images(tmp_path: Path) -> None:
    pytest.importorskip("webdataset")
    write(tmp_path / "a.tar", {"0.png": b"no image"})
    with pytest.warns(SkippedImageWarning), pytest.raises(ImageError, match=r"none of 3 images.*0\.png"):
        Shards([str(tmp_path / "a.tar")], SETTINGS).batch(0, 0, 4)
