"""`espalier upscale`: enlarge images with a network or an exported file."""

import warnings
from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Annotated

import torch
from cyclopts import Parameter
from torch import Tensor

from espalier.errors import EspalierError, ImageError, NetworkError, OutputError
from espalier.evaluation.ensemble import self_ensemble as eightfold
from espalier.evaluation.tiling import tiled
from espalier.images.folder import list_images
from espalier.images.io import FORMATS, Image, read_image, to_tensor, write_image
from espalier.images.resize import imresize
from espalier.recipes.console import counting, say
from espalier.recipes.enlarger import Enlarger, open_enlarger, with_tile


class SkippedFileWarning(UserWarning):
    """A file was not enlarged."""


def command(
    network: str,
    inputs: Annotated[list[Path], Parameter(negative=())],
    /,
    *,
    out: Annotated[Path, Parameter(name=["--out", "-o"])],
    scale: int | None = None,
    tile: int | None = None,
    self_ensemble: bool = False,
    suffix: str | None = None,
    overwrite: bool = False,
) -> None:
    """Enlarge images and folders of images; names, transparency and 16 bits are kept.

    Parameters
    ----------
    network
        A checkpoint file, an exported file (.onnx, .xml, .param), a constructor, or "package.module:factory".
    inputs
        Images and folders of images.
    out
        Folder for the results.
    scale
        For networks of several scales: the one wanted.
    tile
        Cut images into parts of this many pixels; by default where memory asks for it.
    self_ensemble
        Average over the eight flips and turns of each image.
    suffix
        Write all files in this format: png, jpg, webp, bmp.
    overwrite
        Write over results that are there already; without it they are left alone.
    """
    work = jobs(inputs, out, suffix)
    enlarger = open_enlarger(network, scale)
    if tile is not None:
        enlarger = with_tile(enlarger, tile)
    if self_ensemble:
        enlarger = replace(enlarger, run=partial(eightfold, enlarger.run))
    written = upscale(enlarger, work, overwrite=overwrite)
    say(f"{len(written)} of {len(work)} images written to {out}, x{enlarger.scale}")


def upscale(enlarger: Enlarger, work: Sequence[tuple[Path, Path]], *, overwrite: bool = False) -> list[Path]:
    """Enlarge every source to its target; what cannot be enlarged is named in a SkippedFileWarning.

    Raises:
        ImageError: nothing at all could be written.
        OutputError: the folder cannot be written.
    """
    written: list[Path] = []
    with counting("enlarging", len(work)) as told:
        for done, (source, target) in enumerate(work, 1):
            try:
                _one(enlarger, source, target, overwrite=overwrite, taken=written)
                written.append(target)
            except OutputError:
                raise
            except EspalierError as error:
                warnings.warn(f"skipped {source}: {error}", SkippedFileWarning, stacklevel=2)
            told(done, len(work))
    if not written:
        raise ImageError(f"none of the {len(work)} images was enlarged; the warnings say why")
    return written


def _one(enlarger: Enlarger, source: Path, target: Path, *, overwrite: bool, taken: Sequence[Path]) -> None:
    if target in taken:
        raise ImageError(f"another input of this name was written to {target}")
    if target.exists():
        if target.samefile(source):
            raise ImageError("the result would replace the image itself; choose another folder with --out")
        if not overwrite:
            raise ImageError(f"{target} is there already; give --overwrite to write it again")
    write_image(target, enlarge_image(enlarger, read_image(source)))


def enlarge_image(enlarger: Enlarger, image: Image) -> Image:
    """The image `scale` times as high and wide, of the same depth; alpha is enlarged bicubically.

    Raises:
        NetworkError: the network gives NaN or infinity.
    """
    edge = enlarger.tile(image.size) or max(image.size)
    finish = partial(_rounded, top=65535 if image.bits == 16 else 255, grey=image.grey)
    with torch.no_grad():
        out = tiled(enlarger.run, to_tensor(image), enlarger.scale, edge, enlarger.overlap, finish)
    planes = out[0].permute(1, 2, 0)
    if image.grey:
        planes = planes.expand(-1, -1, 3)
    pixels = planes.contiguous().numpy()
    alpha = None if image.alpha is None else imresize(image.alpha, enlarger.scale)
    return Image(pixels, alpha, image.grey)


def _rounded(out: Tensor, top: int, grey: bool) -> Tensor:
    """Whole numbers part by part: a photograph of floats would take four times the memory."""
    if not bool(out.isfinite().all()):
        raise NetworkError("the network gave numbers that are not finite (NaN or infinity)")
    if grey:
        out = out.mean(1, keepdim=True)
    return out.float().clamp(0, 1).mul(top).round().to(torch.uint16 if top > 255 else torch.uint8)


def jobs(inputs: Sequence[Path], out: Path, suffix: str | None = None) -> list[tuple[Path, Path]]:
    """Each image with the file that it is enlarged to.

    Raises:
        ImageError: no such file or folder, no images in it, or an unknown format.
    """
    ending = _ending(suffix)
    return [(path, out / f"{path.stem}{ending or path.suffix}") for path in _sources(inputs)]


def _sources(inputs: Sequence[Path]) -> Iterator[Path]:
    for path in inputs:
        if not path.exists():
            raise ImageError(f"there is no file or folder {path}")
        if path.is_file() and path.suffix.lower() not in FORMATS:
            raise ImageError(f"{path} is no image: expected {', '.join(FORMATS)}, or a folder of such files")
        yield from list_images(path)


def _ending(suffix: str | None) -> str:
    ending = f".{suffix.lower().lstrip('.')}" if suffix else ""
    if ending and ending not in FORMATS:
        raise ImageError(f"--suffix is {suffix!r}: expected one of {', '.join(FORMATS)}")
    return ending
