"""The pipeline as functions: what `import espalier` offers to scripts and notebooks.

>>> import espalier
>>> dense = espalier.load("edsr(scale=2, blocks=2, channels=8)")
>>> len(espalier.inspect(dense).prunable)
4
>>> small = espalier.prune(dense, "photos", budget="macs=0.5")
>>> small = espalier.recover(small, "photos", teacher=dense, steps=2)
>>> bool(espalier.cost(small).macs <= 0.5 * espalier.cost(dense).macs)
True
>>> len(espalier.evaluate(small, "photos").images)
4
>>> espalier.save(small, "small.safetensors")
>>> espalier.export_to(small, "small.pt2").passed
small.pt2: ...
True

Every function leaves its arguments as they are and returns something new. What goes wrong by a person's mistake
is a subclass of `espalier.EspalierError`.
"""

import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from torch import nn

from espalier.channels import Channels
from espalier.costs import Cost
from espalier.costs import count as cost
from espalier.data import PackedImages, pack
from espalier.errors import EspalierError, NetworkError
from espalier.evaluation import Evaluation, evaluate
from espalier.export import Request as ExportRequest
from espalier.export import Verification, target, targets
from espalier.images.io import read_image, write_image
from espalier.methods.job import Optimizer
from espalier.networks.file import save
from espalier.networks.load import load
from espalier.networks.network import Network
from espalier.optimizers import RATES
from espalier.plan import PrunePlan
from espalier.recipes import compress as compression
from espalier.recipes import sweep as sweeping
from espalier.recipes.compress import CompressSettings
from espalier.recipes.enlarger import of_network
from espalier.recipes.export import export
from espalier.recipes.fitting import Fitting
from espalier.recipes.grid import Grid, cells
from espalier.recipes.inspect import trace
from espalier.recipes.opening import prepared
from espalier.recipes.prune import Request, Training
from espalier.recipes.prune import prune as prune_prepared
from espalier.recipes.result import Result, read
from espalier.recipes.upscale import enlarge_image

__all__ = [
    "Channels", "CompressSettings", "Cost", "EspalierError", "Evaluation", "Network", "PrunePlan", "Result",
    "Verification", "compress", "cost", "evaluate", "export_to", "inspect", "load", "prune", "read", "recover",
    "save", "sweep", "upscale",
]  # fmt: skip

Images = str | Path | PackedImages
"""A folder of high-resolution images or of HR/LR pairs, or what `espalier.data.pack` made of one."""


def inspect(network: Network, *, heads: bool = False, prove: bool = True) -> Channels:
    """Which channels, or attention heads, can be cut: every group proven by cutting it and comparing with masking.

    >>> espalier.inspect(espalier.load("edsr(scale=2, blocks=1, channels=4)")).prunable[0].name
    'head.0.weight'
    """
    return trace(prepared(network), heads=heads, prove=prove)


def prune(
    network: Network,
    data: Images,
    *,
    budget: str = "macs=0.5",
    method: str = "calibrated",
    criterion: str = "l2",
    allocation: str | None = None,
    round_to: int | None = None,
    protect: Sequence[str] = (),
    keep_architecture: bool = False,
    heads: bool = False,
    options: Mapping[str, Any] | None = None,
    latency_runtime: str = "torch",
    seed: int = 0,
) -> Network:
    """A smaller network; its `plans[-1]` says what was cut, and that this cut was proven.

    >>> dense = espalier.load("edsr(scale=2, blocks=2, channels=8)")
    >>> espalier.prune(dense, "photos", budget="ratio=0.5", method="magnitude").plans[-1].notes["method"]
    'magnitude'

    Args:
        budget: as `espalier compress --budget` takes it: macs=0.5, params=300K, latency=20ms, ratio=0.5.
        heads: remove whole attention heads, instead of making all of them narrower.
        options: what only this method can be told; its card lists them.

    Raises:
        PlanError: nothing can be pruned, or the budget cannot be met.
        ImageError: there are no usable images.
    """
    request = Request(
        budget=budget,
        method=method,
        criterion=criterion,
        allocation=allocation,
        round_to=round_to,
        protect=tuple(protect),
        seed=seed,
        keep_architecture=keep_architecture,
        heads=heads,
        options=dict(options or {}),
        latency_runtime=latency_runtime,
    )
    dense, images = prepared(network), packed(data, network.scale)
    with tempfile.TemporaryDirectory() as place:
        fitting = _fitting(images, dense, Path(place), seed=seed)
        return prune_prepared(dense, request, images, Training(fitting, fitting.score)).network


def recover(
    network: Network,
    data: Images,
    *,
    teacher: Network | None = None,
    steps: int = 500,
    batch: int = 16,
    patch: int = 48,
    optimizer: Optimizer = "soap",
    lr: float | None = None,
    seed: int = 0,
) -> Network:
    """A copy, fine-tuned on patches of the images; with `teacher`, also towards what that network gives.

    It ends as the best that was measured on the way, its beginning included; masked weights stay zero.

    Args:
        lr: learning rate; by default 4e-3 (of each tensor's size), with adam 2e-4.

    Raises:
        ImageError: there are no usable images.
        Interrupted: Ctrl-C; nothing is kept (`compress` keeps its state in a run folder).
    """
    images = packed(data, network.scale)
    with tempfile.TemporaryDirectory() as place:
        fitting = _fitting(images, teacher or network, Path(place), batch=batch, patch=patch, seed=seed)
        return fitting.recovered(network, steps, teacher=teacher is not None, optimizer=optimizer, lr=lr)


def packed(data: Images, scale: int) -> PackedImages:
    return data if isinstance(data, PackedImages) else pack(data, scale)


def _fitting(
    images: PackedImages,
    dense: Network,
    place: Path,
    *,
    batch: int = 16,
    patch: int = 48,
    seed: int = 0,
) -> Fitting:
    return Fitting(
        images=images, test=images, dense=dense, run=place, batch=batch, patch=patch, lr=RATES["adam"], seed=seed,
        resume=False,
    )  # fmt: skip


def export_to(
    network: Network,
    path: str | Path,
    *,
    to: str | None = None,
    fixed: tuple[int, int] | None = None,
    half: bool = False,
    overwrite: bool = False,
) -> Verification:
    """Write a file for other programs, run it in its own runtime and compare with torch.

    Args:
        to: the target; by default the suffix tells it.
        fixed: height and width of the input; by default any size, where the network allows it.

    Raises:
        NetworkError: an unknown target, or a network that it cannot take.
        MissingExtraError: what the target needs is not installed.
    """
    path = Path(path)
    found = export(
        network, to or _target_of(path), path, ExportRequest(fixed, half), check=True, overwrite=overwrite
    )
    assert found is not None
    return found


def _target_of(path: Path) -> str:
    by_suffix = {target(name).SUFFIX: name for name in targets()}
    if path.suffix not in by_suffix:
        known = ", ".join(sorted(by_suffix))
        raise NetworkError(
            f"no export target writes {path.suffix or 'files without suffix'}: expected {known}"
        )
    return by_suffix[path.suffix]


def upscale(network: Network, source: str | Path, target: str | Path) -> None:
    """Enlarge an image file, in parts where memory asks for it; transparency and 16 bits are kept.

    Raises:
        ImageError: it cannot be read, or the format cannot hold the result.
    """
    write_image(target, enlarge_image(of_network(network), read_image(source)))


def compress(
    reference: str | Path,
    data: str | Path,
    out: str | Path,
    settings: CompressSettings = CompressSettings(),  # noqa: B008 (frozen)
) -> Result:
    """All stages in one: prune, recover, measure, and write a run folder with its report.

    >>> settings = espalier.CompressSettings(budget="params=0.6", recover=0, timing=False)
    >>> result = espalier.compress("edsr(scale=2, blocks=2, channels=8)", "photos", "run", settings)
    >>> [row.version for row in result.rows]
    ['bicubic', 'dense', 'pruned']

    Raises:
        EspalierError: anything that a person can mend: network, images, budget, or place to write.
    """
    return read(compression.compress(_named(reference), Path(data), Path(out), settings))


def _named(reference: str | Path) -> str:
    """What a run folder can write down."""
    if isinstance(reference, nn.Module):
        raise NetworkError(
            f"a run folder is read again, so it needs a name of the network, got a {type(reference).__name__}; "
            'give a file, a constructor or "package.module:function", or take prune and recover'
        )
    return str(reference)


def sweep(
    reference: str | Path,
    data: str | Path,
    out: str | Path,
    *,
    budgets: Sequence[str] = ("0.75", "0.5", "0.25"),
    methods: Sequence[str] = ("calibrated", "magnitude"),
    max_loss: float = 0.1,
    settings: CompressSettings = CompressSettings(),  # noqa: B008 (frozen)
) -> list[Result]:
    """One `compress` per method and budget, what is finished already kept, and the page `out`/index.html.

    Raises:
        EspalierError: as `compress`; a budget that one method cannot meet is left out.
    """
    grid = Grid(_named(reference), Path(data), Path(out), cells(methods, budgets), settings, max_loss)
    sweeping.sweep(grid)
    return [read(path) for path in grid.present]
