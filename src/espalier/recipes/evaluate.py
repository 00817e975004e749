"""`espalier evaluate`: quality and cost of one network on a folder of images."""

import json as json_format
from pathlib import Path
from typing import Annotated, Any

from cyclopts import Parameter
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from espalier.evaluation import Evaluation
from espalier.networks.load import load
from espalier.recipes import measure
from espalier.recipes.console import output


def command(
    network: str,
    *,
    data: Path,
    scale: int | None = None,
    lr: Path | None = None,
    y: Annotated[bool, Parameter(name="--y", negative="--rgb")] = True,
    self_ensemble: bool = False,
    tile: int | None = None,
    size: str | None = None,
    timing: bool = True,
    json: bool = False,
) -> None:
    """Measure PSNR, SSIM and cost of a network on a folder of images.

    Parameters
    ----------
    network
        A checkpoint file, a constructor such as "edsr(scale=2, blocks=16)", or "package.module:factory".
    data
        Folder of high-resolution images (low resolution is made as MATLAB makes it), or of HR/LR pairs.
    scale
        For networks of several scales: the one wanted.
    lr
        Folder of the low-resolution images, where it cannot be found beside the others.
    y
        Compare BT.601 luma as papers do, or RGB.
    self_ensemble
        Average over the eight flips and turns of each image.
    tile
        Cut images into parts of this many low-resolution pixels; by default only where memory asks for it.
    size
        Input for which cost is counted, width x height as 964x540; by default that of a 1280 x 720 output.
    timing
        Also measure time and memory.
    json
        Print JSON instead of tables.
    """
    counted = measure.lr_size(size)
    loaded = load(network, scale=scale)
    found = measure.quality({"network": loaded}, data, y=y, lr=lr, ensemble=self_ensemble, tile=tile)
    cost = measure.costs({"network": loaded}, timed=timing, at=counted)
    if json:
        print(json_format.dumps(describe(loaded.name, found, cost), indent=1))
    else:
        show(loaded.name, found, cost, output())


def describe(name: str, found: dict[str, Evaluation], cost: dict[str, Any]) -> dict[str, Any]:
    """Everything that was measured, for JSON."""
    told = found["network"].to_dict() | {"network": name, "bicubic": found["bicubic"].to_dict()["mean"]}
    return told | {"cost": cost["rows"]["network"]}


def show(name: str, found: dict[str, Evaluation], cost: dict[str, Any], console: Console) -> None:
    """Print every image, the means, and the cost."""
    network, baseline = found["network"], found["bicubic"]
    plane = "Y" if network.y else "RGB"
    table = Table("Image", f"PSNR {plane}, dB", "SSIM", "bicubic, dB", "SSIM", box=None, pad_edge=False)
    for column in table.columns[1:]:
        column.justify = "right"
    for image, base in zip(network.images, baseline.images, strict=True):
        table.add_row(escape(image.name), *_numbers(image.psnr, image.ssim, base.psnr, base.ssim))
    table.add_section()
    means = _numbers(network.psnr, network.ssim, baseline.psnr, baseline.ssim)
    table.add_row("mean", *means, style="bold")
    console.print(table)
    console.print(f"\n{name} ×{network.scale}: {cost_line(cost)}")


def _numbers(*values: float) -> list[str]:
    return [f"{value:.3f}" if k % 2 == 0 else f"{value:.4f}" for k, value in enumerate(values)]


def cost_line(cost: dict[str, Any]) -> str:
    """Parameters, MACs, activations, time and memory in words."""
    row = cost["rows"]["network"]
    height, width = cost["input_size"]
    line = (
        f"{row['params']:,} parameters; for {width} × {height} input {row['macs'] / 1e9:.2f} G MACs, "
        f"{row['activations'] / 1e6:.1f} M activations, {row['convs']} convolutions"
    )
    if "ms" not in row:
        return line
    height, width = cost["latency_size"]
    time = f"{row['ms']:.1f} ms (spread {row['ms_spread']:.1f}, {row['threads']} threads, {row['device']})"
    return f"{line}; {time} and {row['memory'] / 2**20:.1f} MiB for {width} × {height}"
