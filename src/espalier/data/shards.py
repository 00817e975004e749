"""Sets too large for one machine: tar shards read through webdataset, split over workers, repeatable."""

import itertools
import tarfile
import tempfile
import warnings
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from espalier.data.packed import PackedImages, decode
from espalier.data.patches import Degradation, Patches, generator
from espalier.errors import ImageError, MissingExtraError
from espalier.images.folder import Pair, SkippedImageWarning
from espalier.images.io import FORMATS

ORDER = 1 << 40
"""Random stream of the shards' order, far from those of patches."""


@dataclass(frozen=True)
class ShardSettings:
    """How images of shards become patches."""

    scale: int
    patch: int = 48
    seed: int = 0
    augment: bool = True
    degradation: Degradation | None = None
    window: int = 32
    """Images held at a time; each patch comes from one of them."""
    per_image: int = 16
    """Patches taken for each image that is read."""
    threads: int = 2
    """Images decoded at a time, ahead of their use."""


class Shards:
    """Patches of the images in tar files: paths, URLs, or shell commands as "pipe:COMMAND", all as in webdataset.

    "{000..099}.tar" stands for a hundred of them. Images that cannot be used are named and passed over.
    The order of the shards is drawn anew for each round through them, from the seed; each worker reads some.
    Going on at a later step skips through the images before it without decoding them.
    """

    def __init__(
        self, shards: Sequence[str], settings: ShardSettings, *, rank: int = 0, workers: int = 1
    ) -> None:
        """Start reading.

        Raises:
            ImageError: fewer shards than workers, or no images in them.
            MissingExtraError: webdataset is not installed.
        """
        shards = [name for given in shards for name in _webdataset().shardlists.expand_urls(given)]
        if len(shards) < workers:
            raise ImageError(
                f"{len(shards)} shards cannot be split over {workers} workers; make more, smaller ones"
            )
        self._shards, self._settings = shards, settings
        self._rank, self._workers = rank, workers
        self._pool = ThreadPoolExecutor(settings.threads)
        self._start(0)

    def batch(self, step: int, first: int, count: int) -> tuple[Tensor, Tensor]:
        """LR and HR patches `first` to `first + count` of `step`; quick where steps follow one another."""
        self._move_to(step * count // self._settings.per_image)
        chosen = generator(self._settings.seed, step, ORDER + 1).random(first + count)[first:]
        patches = [self._patch(step, first + i, float(uniform)) for i, uniform in enumerate(chosen)]
        return torch.cat([lr for lr, _ in patches]), torch.cat([hr for _, hr in patches])

    def _patch(self, step: int, index: int, uniform: float) -> tuple[Tensor, Tensor]:
        settings = self._settings
        image = self._usable(int(uniform * len(self._window)))
        seen = Patches(image, settings.patch, settings.seed, settings.augment, settings.degradation)
        return seen.batch(step, index, 1)

    def _usable(self, place: int) -> PackedImages:
        """The image at a place of the window, or the next one that can be used."""
        told = []
        for offset in range(len(self._window)):
            found = self._window[(place + offset) % len(self._window)].result()
            if isinstance(found, PackedImages):
                return found
            warnings.warn(f"skipped: {found}", SkippedImageWarning, stacklevel=2)
            told.append(found)
        raise ImageError(
            f"none of {len(told)} images that follow one another can be used, the first: {told[0]}"
        )

    def _start(self, image: int) -> None:
        """Read from the beginning up to `image`."""
        self._first = image
        self._images = itertools.islice(self._stream(), image, None)
        self._window: deque[Future[PackedImages | str]] = deque()
        self._fill()

    def _move_to(self, image: int) -> None:
        if image < self._first:
            self._start(image)
        while self._first < image:
            if self._window:
                self._window.popleft()
            self._first += 1
            self._fill()

    def _fill(self) -> None:
        while len(self._window) < self._settings.window:
            self._window.append(self._pool.submit(_decoded, next(self._images), self._settings))

    def _stream(self) -> Iterator[tuple[str, bytes]]:
        """This worker's images for ever: name and content of each file."""
        for epoch in itertools.count():
            order = generator(self._settings.seed, epoch, ORDER).permutation(len(self._shards))
            mine = [self._shards[i] for i in order[self._rank :: self._workers]]
            some = False
            for name, content in _files(mine):
                some = True
                yield name, content
            if not some:
                raise ImageError(
                    f"no images in the shards {', '.join(mine[:3])}: looked for {', '.join(FORMATS)}"
                )


def _files(shards: list[str]) -> Iterator[tuple[str, bytes]]:
    for shard in shards:
        source: Any = _webdataset().WebDataset(
            [shard], shardshuffle=False, nodesplitter=None, empty_check=False
        )
        try:
            for sample in source:
                for suffix, content in sample.items():
                    if f".{suffix.lower()}" in FORMATS:
                        yield f"{sample['__key__']}.{suffix}", content
        except (OSError, EOFError, tarfile.TarError) as error:
            reason = error.strerror if isinstance(error, OSError) else error.args[0]
            raise ImageError(
                f"cannot read the shard {shard}: {reason}; expected a tar file of images"
            ) from error


def _decoded(file: tuple[str, bytes], settings: ShardSettings) -> PackedImages | str:
    """The image, or why there is none."""
    name, content = file
    with tempfile.NamedTemporaryFile(suffix=Path(name).suffix) as copy:
        copy.write(content)
        copy.flush()
        found = decode(Pair(name, Path(copy.name)), settings.scale)
    if isinstance(found, str):
        return found.replace(copy.name, name)
    hr, lr = found
    if min(lr.shape[:2]) < settings.patch:
        return f"{name}: {lr.shape[1]}x{lr.shape[0]} LR pixels are smaller than a patch of {settings.patch}"
    pixels = np.concatenate([hr.reshape(-1, 3), lr.reshape(-1, 3)])
    places = np.array([[0, *hr.shape[:2], hr.size // 3, *lr.shape[:2]]])
    return PackedImages(torch.from_numpy(pixels), places, (name,), settings.scale)


def _webdataset() -> Any:
    try:
        import webdataset  # pyright: ignore[reportMissingImports]
    except ImportError:
        raise MissingExtraError("webdataset", "shards", "reading tar shards") from None
    return webdataset
