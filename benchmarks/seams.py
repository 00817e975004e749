"""How far an image that is run in parts is from the image run at once: python benchmarks/seams.py [NAME ...]

Published networks on 320 x 320 pixels of a photograph of BSDS500, in parts of 96 that overlap by 32. Each row is
written to benchmarks/results/seams.json as soon as it is measured, then the table in docs/limits.md.
Needs the images and weights in ../shared/data (or $ESPALIER_DATA).
"""

import json
import math
import os
import sys
from pathlib import Path

import torch

from espalier.evaluation.tiling import OVERLAP, tiled
from espalier.files import write_text
from espalier.images.io import read_image, to_tensor
from espalier.networks.load import load
from espalier.recipes.run import environment

DATA = Path(os.environ.get("ESPALIER_DATA", Path(__file__).parents[2] / "shared" / "data"))
RESULTS = Path(__file__).parent / "results" / "seams.json"
PAGE = Path(__file__).parents[1] / "docs" / "limits.md"
MARK = "## Seams\n"
NETWORKS = {
    "RNet": "RNet-EDSRlike/rnet_x4.pth",
    "SRVGG": "SRVGG/realesr-animevideov3.pth",
    "QuickSRNetLarge": "QuickSRNetLarge/team11_EFQN.pt",
    "FSRCNN": "FSRCNN/fsrcnn_x4.pth",
    "SRGAN-G": "SRGAN-G/netG_epoch_4_100.pth",
    "SPAN": "SPAN/team00_SPAN.pth",
    "PAN": "PAN/PANx4_DF2K.pth",
    "SMFANet": "SMFANet/SMFANet_DIV2K_100w_x4SR.pth",
    "RLFN": "RLFN/team00_rlfn.pth",
    "RFDN": "RFDN/RFDN_AIM.pth",
    "BSRN": "BSRN/team18_bsrn.pth",
    "IMDN": "IMDN/IMDN_x4.pth",
}
SIZE, TILE = 320, 96
TEXT = f"""
Large images are run in overlapping parts. A convolutional network gives the same pixels in parts as at once as long as
it looks no further than the overlap of {OVERLAP} pixels. Networks that pool over the whole image (channel or spatial
attention) are told something else about each part; larger parts bring them nearer. {SIZE} x {SIZE} pixels of a
photograph, in parts of {TILE}; `benchmarks/seams.py`.

| network | largest difference, of the range | PSNR between the two [dB] |
|---|---:|---:|
"""


def measured(weights: str) -> dict[str, float | None]:
    """Largest difference, and PSNR between the two; none where nothing differs."""
    network = load(DATA / "weights" / weights)
    photograph = sorted((DATA / "sets" / "BSDS500" / "test").glob("*.jpg"))[0]
    x = to_tensor(read_image(photograph))[..., :SIZE, :SIZE]
    with torch.no_grad():
        gap = network(x).clamp(0, 1) - tiled(network, x, network.scale, TILE).clamp(0, 1)
    error = float(gap.double().square().mean())
    return {"difference": float(gap.abs().max()), "psnr": -10 * math.log10(error) if error else None}


def table(rows: dict[str, dict[str, float | None]]) -> str:
    lines = [
        f"| {name} | {_shown(row['difference'], '.0e')} | {_shown(row['psnr'], '.1f')} |"
        for name, row in rows.items()
    ]
    return TEXT + "\n".join(lines) + "\n"


def _shown(value: float | None, form: str) -> str:
    return "equal" if value is None else f"{value:{form}}" if value else "0"


def main() -> None:
    torch.set_num_threads(1)
    kept = json.loads(RESULTS.read_text())["rows"] if RESULTS.is_file() else {}
    for name in sys.argv[1:] or [name for name in NETWORKS if name not in kept]:
        kept[name] = measured(NETWORKS[name])
        print(name, kept[name], flush=True)
        rows = {known: kept[known] for known in NETWORKS if known in kept}
        write_text(RESULTS, json.dumps({"environment": environment(), "rows": rows}, indent=1) + "\n")
        text = PAGE.read_text(encoding="utf-8").partition(MARK)[0]
        write_text(PAGE, text + MARK + table(rows))


if __name__ == "__main__":
    main()
