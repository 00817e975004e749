"""One picture of all crops of a run side by side, for a README or a slide."""

import io
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont

from espalier.files import replacing
from espalier.report.folder import VERSIONS, Crop, Run

ZOOM, GAP, HEAD, FOOT = 2, 8, 30, 24
PAPER, INK, SOFT = (255, 255, 255), (27, 35, 30), (91, 103, 95)


def write_montage(run: Run, path: Path, most: int = 4) -> Path:
    """Write the first `most` crops in rows, the versions in columns, with the PSNR of each.

    Raises:
        OutputError: `path` cannot be written.
    """
    crops = run.crops[:most]
    versions = [v for v in VERSIONS if all(v in crop.files for crop in crops)]
    rows = [_row(crop, versions) for crop in crops]
    width = max(row.width for row in rows)
    sheet = Image.new("RGB", (width, HEAD + sum(row.height for row in rows)), PAPER)
    draw, step = ImageDraw.Draw(sheet), _side(crops[0])[0] + GAP
    for column, version in enumerate(versions):
        draw.text((column * step, 6), version, INK, ImageFont.load_default(18))
    top = HEAD
    for row in rows:
        sheet.paste(row, (0, top))
        top += row.height
    buffer = io.BytesIO()
    sheet.save(buffer, "PNG", optimize=True)
    with replacing(path) as temporary:
        temporary.write_bytes(buffer.getvalue())
    return path


def _side(crop: Crop) -> tuple[int, int]:
    left, top, right, bottom = crop.box
    return (right - left) * ZOOM, (bottom - top) * ZOOM


def _row(crop: Crop, versions: list[str]) -> Image.Image:
    width, height = _side(crop)
    row = Image.new("RGB", (len(versions) * (width + GAP) - GAP, height + FOOT), PAPER)
    draw = ImageDraw.Draw(row)
    for column, version in enumerate(versions):
        left = column * (width + GAP)
        with Image.open(crop.files[version]) as picture:
            row.paste(picture.resize((width, height), Image.Resampling.NEAREST), (left, 0))
        text = f"{crop.psnr[version]:.2f} dB" if version in crop.psnr else crop.image
        draw.text((left, height + 3), text, SOFT, ImageFont.load_default(14))
    return row
