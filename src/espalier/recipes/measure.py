"""Quality and cost of networks, as evaluation and compression report them."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from espalier.costs import Cost, count, latency, memory
from espalier.data import PackedImages
from espalier.errors import EspalierError
from espalier.evaluation import Evaluation, ImageQuality, compare, image_quality
from espalier.evaluation.upscale import Upscaler, bicubic, by_network
from espalier.networks.network import Network
from espalier.recipes.console import counting, waiting
from espalier.sparsity import Size, size

HEAVY = 60e9
"""MACs above which time is measured on a smaller image, so that nobody waits for minutes."""

SECONDS = 6.0
"""How long timing goes on, all networks together; three rounds are always made."""


def quality(
    networks: Mapping[str, Network],
    data: Path,
    *,
    y: bool = True,
    lr: Path | None = None,
    ensemble: bool = False,
    tile: int | None = None,
) -> dict[str, Evaluation]:
    """PSNR and SSIM of bicubic and of each network on the same images.

    Raises:
        ImageError: no usable image, or images that are not `scale` apart.
    """
    scale = next(iter(networks.values())).scale
    upscalers = {name: by_network(net, ensemble=ensemble, tile=tile) for name, net in networks.items()}
    with counting("evaluating") as told:
        return compare(
            {"bicubic": bicubic(scale), **upscalers},
            data,
            scale,
            y=y,
            lr=lr,
            progress=lambda done, total, _name: told(done, total),
        )


def lr_size(text: str | None) -> tuple[int, int] | None:
    """Height and width from "964x540" (width x height); None stays None.

    Raises:
        EspalierError: the text is no size.
    """
    if text is None:
        return None
    found = re.fullmatch(r"\s*([1-9]\d*)\s*[x×]\s*([1-9]\d*)\s*", text)
    if found is None:
        raise EspalierError(f"--size is {text!r}; expected width x height of the input in pixels, as 964x540")
    return int(found[2]), int(found[1])


def costs(
    networks: Mapping[str, Network], *, timed: bool = True, at: tuple[int, int] | None = None
) -> dict[str, Any]:
    """Exact counts, and time and memory where `timed`, as `cost.json` holds them.

    Args:
        at: height and width of the input that is counted for; by default that of a 1280 x 720 output.
    """
    counts = {name: count(network, at) for name, network in networks.items()}
    first = next(iter(counts.values()))
    result: dict[str, Any] = {"input_size": list(first.input_size)}
    rows = {name: cost.to_dict() for name, cost in counts.items()}
    if any(network.masks for network in networks.values()):
        for name, network in networks.items():
            rows[name] |= stored(size(network))
    if timed:
        area = timed_size(first)
        result["latency_size"] = list(area)
        with waiting("measuring time"):
            times = latency.measure(networks, area, seconds=SECONDS)
        for name, network in networks.items():
            rows[name] |= times[name].to_dict() | memory.peak(network, area).to_dict()
    return {**result, "rows": rows}


def stored(found: Size) -> dict[str, float]:
    """What a sparse network's row says beside its counts."""
    return {"nonzero": found.nonzero, "stored": found.bytes, "sparsity": found.sparsity}


def timed_size(cost: Cost) -> tuple[int, int]:
    """The counted size, halved until one run is no heavier than `HEAVY`; never below 64 pixels."""
    height, width = cost.input_size
    macs = float(cost.macs)
    while macs > HEAVY and min(height, width) >= 128:
        height, width, macs = height // 2, width // 2, macs / 4
    return height, width


def metrics(evaluations: Mapping[str, Evaluation], network: str, name: str) -> dict[str, Any]:
    """What `metrics.json` holds: `name` is the test set's."""
    first = next(iter(evaluations.values()))
    rows = {version: evaluation.to_dict() for version, evaluation in evaluations.items()}
    return {
        "network": network,
        "set": name,
        "scale": first.scale,
        "y": first.y,
        "rows": {version: {"mean": row["mean"], "images": row["images"]} for version, row in rows.items()},
    }


def quality_of_images(
    upscalers: Mapping[str, Upscaler], images: PackedImages, *, y: bool = True
) -> dict[str, Evaluation]:
    """PSNR and SSIM of each upscaler on packed images."""
    found: dict[str, list[ImageQuality]] = {name: [] for name in upscalers}
    with counting("evaluating") as told:
        for index in range(len(images)):
            lr, hr = (image.permute(1, 2, 0).numpy() for image in (images.lr(index), images.hr(index)))
            for name, upscaler in upscalers.items():
                found[name].append(image_quality(images.names[index], upscaler, hr, lr, images.scale, y))
            told(index + 1, len(images))
    return {
        name: Evaluation(name, images.scale, y, tuple(each), images.skipped) for name, each in found.items()
    }
