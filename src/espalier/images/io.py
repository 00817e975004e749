"""Reading and writing image files: 8 and 16 bits, grey, RGB, alpha and palettes, EXIF orientation."""

import io
import struct
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image as pil
from torch import Tensor

from espalier.errors import ImageError, MissingExtraError
from espalier.files import replacing
from espalier.images.resize import imresize

FORMATS = {".png": "PNG", ".jpg": "JPEG", ".jpeg": "JPEG", ".bmp": "BMP", ".webp": "WEBP"}
_OPTIONS = {"JPEG": {"quality": 95, "subsampling": 0}, "WEBP": {"lossless": True, "exact": True}}
_WITH_ALPHA = ("PNG", "WEBP")
_ORIENTATION = 0x0112


@dataclass(frozen=True)
class Image:
    """One image as it lies in a file, turned upright."""

    pixels: NDArray
    """(H, W, 3) RGB, uint8 or uint16; grey is repeated three times."""
    alpha: NDArray | None = None
    """(H, W) opacity of the same type, or None."""
    grey: bool = False

    @property
    def bits(self) -> Literal[8, 16]:
        return 16 if self.pixels.dtype == np.uint16 else 8

    @property
    def size(self) -> tuple[int, int]:
        """Height and width."""
        return self.pixels.shape[0], self.pixels.shape[1]


def read_image(path: str | Path) -> Image:
    """Read a PNG, JPEG, BMP or WebP file; of an animation, the first frame.

    Raises:
        ImageError: the file is missing, damaged, or of another kind.
        MissingExtraError: a 16-bit colour PNG, and OpenCV is not installed.
    """
    path = Path(path)
    if not path.is_file():
        raise ImageError(f"cannot read {path}: there is no such file")
    try:
        with pil.open(path, formats=sorted(set(FORMATS.values()))) as file:
            channels, grey = _deep_png(path) if _is_deep_colour_png(path) else _channels(file)
            orientation = file.getexif().get(_ORIENTATION, 1)
    except pil.DecompressionBombError as error:
        raise ImageError(f"cannot read {path}: {error}; cut the image into parts first") from error
    except (OSError, SyntaxError, ValueError, EOFError, struct.error) as error:
        raise ImageError(f"cannot read {path}: not a whole PNG, JPEG, BMP or WebP image ({error})") from error
    return _image(_upright(channels, orientation), grey)


def write_image(path: str | Path, image: Image) -> None:
    """Write to the format the suffix names, all or nothing; JPEG at quality 95, WebP without loss.

    Raises:
        ImageError: an unknown suffix, or a format that cannot hold alpha or 16 bits.
        MissingExtraError: 16 bits with colour or alpha, and OpenCV is not installed.
        OutputError: the file cannot be written.
    """
    path = Path(path)
    kind = _format(path, image)
    channels = _file_channels(image)
    if image.bits == 16 and channels.ndim == 3:
        data = _encode_deep_png(channels)
    else:
        buffer = io.BytesIO()
        options = {"JPEG": {"quality": 95, "subsampling": 0}, "WEBP": {"lossless": True, "exact": True}}.get(
            kind, {}
        )
        pil.fromarray(channels).save(buffer, kind, **options)
        data = buffer.getvalue()
    with replacing(path) as temporary:
        temporary.write_bytes(data)


def as_eight_bits(image: Image) -> Image:
    """The image with 8 bits: 16-bit values are divided by 257 and rounded."""
    if image.bits == 8:
        return image
    pixels, alpha = (
        None if values is None else ((values.astype(np.uint32) + 128) // 257).astype(np.uint8)
        for values in (image.pixels, image.alpha)
    )
    assert pixels is not None
    return Image(pixels, alpha, image.grey)


def to_tensor(image: Image) -> Tensor:
    """The pixels as float32 (1, 3, H, W) in 0..1; alpha is left out."""
    pixels = np.ascontiguousarray(image.pixels.transpose(2, 0, 1)[None])
    if image.bits == 16:
        return torch.from_numpy(pixels.astype(np.float32)).div_(65535)
    return torch.from_numpy(pixels).float().div_(255)


def from_tensor(tensor: Tensor, like: Image | None = None) -> Image:
    """Round a tensor (1, 3, H, W) in 0..1 to 8-bit RGB, or to the depth, greyness and alpha of `like`.

    The alpha of `like` is enlarged bicubically to the tensor's size.
    """
    deep = like is not None and like.bits == 16
    top, dtype = (65535, np.uint16) if deep else (255, np.uint8)
    planes = tensor.detach()[0].float().cpu()
    if like is not None and like.grey:
        planes = planes.mean(0, keepdim=True).expand(3, -1, -1)
    values = planes.clamp(0, 1).mul(top).round().permute(1, 2, 0).numpy()
    pixels = np.ascontiguousarray(values.astype(dtype))
    alpha = None
    if like is not None and like.alpha is not None:
        alpha = imresize(like.alpha, size=(pixels.shape[0], pixels.shape[1]))
    return Image(pixels, alpha, like is not None and like.grey)


def _is_deep_colour_png(path: Path) -> bool:
    """Whether pillow would silently drop the lower 8 bits: depth 16 in any kind but plain grey."""
    with path.open("rb") as file:
        head = file.read(26)
    return len(head) == 26 and head.startswith(b"\x89PNG\r\n\x1a\n") and head[24] == 16 and head[25] != 0


def _channels(file: pil.Image) -> tuple[NDArray, bool]:
    """(H, W, C) with C of 1 to 4, and whether it is grey."""
    if file.mode.startswith("I"):
        return np.asarray(file).clip(0, 65535).astype(np.uint16)[..., None], True
    grey = file.mode in ("1", "L", "LA", "La")
    alpha = file.mode in ("LA", "La", "PA", "RGBA", "RGBa") or "transparency" in file.info
    mode = {(True, False): "L", (True, True): "LA", (False, False): "RGB", (False, True): "RGBA"}[grey, alpha]
    pixels = np.array(file.convert(mode))
    return pixels.reshape(*pixels.shape[:2], -1), grey


def _deep_png(path: Path) -> tuple[NDArray, bool]:
    cv2 = _opencv(f"reading {path}, a 16-bit colour PNG,")
    pixels = cv2.imdecode(np.frombuffer(path.read_bytes(), np.uint8), cv2.IMREAD_UNCHANGED)
    if pixels is None or pixels.ndim != 3:
        raise ValueError("OpenCV cannot decode it")
    order = [2, 1, 0, 3][: pixels.shape[2]]
    with path.open("rb") as file:
        grey = file.read(26)[25] == 4
    return pixels[..., order], grey


def _encode_deep_png(channels: NDArray) -> bytes:
    cv2 = _opencv("writing a 16-bit PNG with colour or alpha")
    order = [2, 1, 0, 3][: channels.shape[2]]
    done, data = cv2.imencode(".png", channels[..., order])
    if not done:
        raise ImageError(f"OpenCV cannot encode a 16-bit image of shape {channels.shape}")
    return data.tobytes()


def _opencv(purpose: str) -> ModuleType:
    try:
        import cv2
    except ImportError:
        raise MissingExtraError("opencv-python-headless", "image16", purpose) from None
    return cv2


def _upright(channels: NDArray, orientation: int) -> NDArray:
    """Undo the EXIF orientation (EXIF 2.3, tag 0x0112): 5 to 8 are the first four, transposed."""
    if orientation in (5, 6, 7, 8):
        channels = channels.swapaxes(0, 1)
    rows = {3: -1, 4: -1, 7: -1, 8: -1}.get(orientation, 1)
    columns = {2: -1, 3: -1, 6: -1, 7: -1}.get(orientation, 1)
    return channels[::rows, ::columns]


def _image(channels: NDArray, grey: bool) -> Image:
    alpha = np.ascontiguousarray(channels[..., -1]) if channels.shape[2] in (2, 4) else None
    colours = channels[..., :3] if channels.shape[2] > 2 else channels[..., :1].repeat(3, 2)
    return Image(np.ascontiguousarray(colours), alpha, grey)


def _file_channels(image: Image) -> NDArray:
    """(H, W) for grey alone, else (H, W, C); 16-bit grey with alpha becomes RGBA for want of a writer."""
    grey = image.grey and (image.alpha is None or image.bits == 8)
    colours = image.pixels[..., :1] if grey else image.pixels
    if image.alpha is not None:
        return np.concatenate((colours, image.alpha[..., None]), 2)
    return np.ascontiguousarray(colours[..., 0]) if grey else image.pixels


def _format(path: Path, image: Image) -> str:
    kind = FORMATS.get(path.suffix.lower())
    if kind is None:
        raise ImageError(f"cannot write {path}: the suffix must be one of {', '.join(FORMATS)}")
    if image.bits == 16 and kind != "PNG":
        raise ImageError(f"cannot write {path}: {kind} holds 8 bits, the image has 16; use .png")
    if image.alpha is not None and kind not in _WITH_ALPHA:
        raise ImageError(f"cannot write {path}: {kind} holds no transparency; use .png or .webp")
    return kind
