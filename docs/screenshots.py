"""The pictures of the documentation: python docs/screenshots.py RUN SWEEP (from the top of the repository).

RUN is the run folder of the demo, SWEEP the folder of a sweep; both are photographed in light and dark by a headless
Chromium, with Inter installed (Debian's fonts-inter).
"""

import io
import sys
from pathlib import Path

from PIL import Image

import espalier
from espalier.report.write import write

sys.path.insert(0, str(Path(__file__).parents[1]))
from tests.report import browser

IMAGES = Path(__file__).parent / "images"
TWO_ROWS = 654
"""Height of the heading and two rows of crops."""
VIEWER = "document.getElementById('pictures').scrollIntoView()"


def main(run: Path, sweep: Path) -> None:
    """Write all of them."""
    crops = Image.open(run / "comparison.png")
    save(crops.crop((0, 0, crops.width, TWO_ROWS)), "demo.webp")
    report = write(run)
    notebook = run / "notebook.html"
    plan = espalier.read(run).plan
    assert plan is not None
    with browser.opened(1280, 860) as page:
        for scheme in ("light", "dark"):
            media = [{"name": "prefers-color-scheme", "value": scheme}]
            page.call("Emulation.setEmulatedMedia", features=media)
            take(page, report, f"report-{scheme}.webp")
            take(page, report, f"viewer-{scheme}.webp", VIEWER)
            take(page, sweep / "index.html", f"sweep-{scheme}.webp", height=1500)
            ink, paper = ("#111", "#fff") if scheme == "light" else ("#ddd", "#111")
            style = f"font:14px/1.4 sans-serif;color:{ink};background:{paper}"
            notebook.write_text(f'<!doctype html><body style="{style}">{plan._repr_html_()}')
            take(page, notebook, f"notebook-{scheme}.webp", width=620, height=300)
    notebook.unlink()


def take(
    page: browser.Page, html: Path, name: str, script: str = "", *, width: int = 1280, height: int = 860
) -> None:
    page.call(
        "Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=False
    )
    page.open(html)
    page.js("document.documentElement.style.scrollBehavior = 'auto'; localStorage.clear()")
    page.js(script or "0")
    shot = IMAGES / "shot.png"
    page.screenshot(shot)
    save(Image.open(shot), name)
    shot.unlink()


def save(picture: Image.Image, name: str) -> None:
    buffer = io.BytesIO()
    picture.convert("RGB").save(buffer, "WEBP", quality=86, method=6)
    (IMAGES / name).write_bytes(buffer.getvalue())
    print(f"{name}: {buffer.tell() // 1024} KB")


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:3]))
