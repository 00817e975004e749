"""Drawn images to calibrate on: flat colours, lines, letters."""

from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

SIZE = (480, 320)


def drawings(folder: Path, count: int) -> Path:
    """Write `count` of them, always the same; the folder."""
    folder.mkdir(parents=True, exist_ok=True)
    for index in range(count):
        path = folder / f"drawing{index:03}.png"
        if not path.exists():
            drawing(np.random.default_rng(index)).save(path)
    return folder


def drawing(random: np.random.Generator) -> Image.Image:
    """Drawn twice as large and reduced, so that edges are smooth."""
    wide, tall = (2 * edge for edge in SIZE)
    image = Image.new("RGB", (wide, tall), colour(random))
    pen = ImageDraw.Draw(image)
    for _ in range(40):
        points = [(int(random.integers(wide)), int(random.integers(tall))) for _ in range(4)]
        kind = random.integers(4)
        if kind == 0:
            pen.polygon(points, fill=colour(random), outline=colour(random))
        elif kind == 1:
            pen.line(points, fill=colour(random), width=int(random.integers(1, 9)))
        elif kind == 2:
            (a, b), (c, d) = points[:2]
            pen.ellipse([min(a, c), min(b, d), max(a, c), max(b, d)], outline=colour(random), width=4)
        else:
            words = "".join(chr(random.integers(65, 91)) for _ in range(8))
            pen.text(points[0], words, fill=colour(random), font_size=int(random.integers(16, 64)))
    return image.resize(SIZE, Image.Resampling.LANCZOS)


def colour(random: np.random.Generator) -> tuple[int, int, int]:
    red, green, blue = random.integers(0, 256, 3).tolist()
    return red, green, blue
