"""`espalier compress`: load, prepare, trace, prune to a budget, recover, measure, report."""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

from cyclopts import Parameter
from pydantic import BaseModel, ConfigDict, Field

from espalier.evaluation import Evaluation
from espalier.evaluation.upscale import Upscaler, bicubic, by_network
from espalier.files import write_text
from espalier.methods.job import Optimizer
from espalier.networks import file
from espalier.networks.load import load
from espalier.networks.network import Network
from espalier.optimizers import RATES
from espalier.recipes import measure, run, sets
from espalier.recipes.console import output, result_table, say
from espalier.recipes.crops import write_crops
from espalier.recipes.family import write_plain
from espalier.recipes.fitting import Fitting
from espalier.recipes.opening import opened
from espalier.recipes.prune import Pruned, Request, Training, prune
from espalier.recipes.sets import Material
from espalier.report import folder
from espalier.report.rows import rows
from espalier.report.summary import sentence
from espalier.report.write import write
from espalier.sparsity import sparsity
from espalier.training.device import pick
from espalier.training.distributed import Workers

PRUNED = "checkpoints/pruned.safetensors"
"""The network as recovery finds it, kept until the run has ended."""


class CompressSettings(BaseModel):
    """All that a compression depends on, as `config.yaml` keeps it."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)

    budget: str = "macs=0.5"
    """What may stay: macs=0.5, params, activations, memory, latency=20ms; or what goes: ratio=0.5, sparsity=0.9."""
    method: str = "calibrated"
    """How channels are chosen and removed: a folder of espalier/methods."""
    options: dict[str, Any] = Field(default_factory=dict)
    """What only this method can be told, as --options.steps 2000; see its card."""
    criterion: str = "l2"
    """How channels are scored: a file of espalier/importance."""
    allocation: str | None = None
    """How the budget is spread over the groups: damage, global or uniform; by default what suits the method."""
    round_to: int | None = Field(default=None, ge=1)
    """Keep multiples of this many channels; by default 8 or 16 where the budget is a time, otherwise 1."""
    latency_runtime: str = "torch"
    """Where layers are timed for a latency budget: torch, or onnxruntime on the CPU."""
    protect: tuple[str, ...] = ()
    """Patterns of tensor names whose channels stay whole, such as "*upsample*"."""
    keep_architecture: bool = False
    """Stay a plain, narrower member of the architecture, and write plain.pth for other programs to load."""
    heads: bool = False
    """Remove whole attention heads, instead of making all of them narrower."""
    recover: int = Field(default=500, ge=0)
    """Steps of fine-tuning afterwards."""
    teacher: bool = True
    """Let the dense network teach during recovery."""
    test: Path | None = None
    """Folder to measure on; by default a few images of --data are held out."""
    hold_out: int = Field(default=5, ge=1)
    """Images of --data held out for measuring where there is no --test."""
    scale: int | None = None
    """For networks of several scales: the one wanted."""
    batch: int = Field(default=16, ge=1)
    """Patches per step of recovery."""
    patch: int = Field(default=48, ge=8)
    """Height and width of the low-resolution patches; smaller where the images are."""
    optimizer: Optimizer = "soap"
    """Of recovery; soap gains more in as many steps where the cut left little to mend."""
    lr: float | None = Field(default=None, gt=0)
    """Learning rate of recovery: 4e-3 by default (of each tensor's size), with adam 2e-4."""
    seed: int = 0
    """Of patches and random choices."""
    device: str | None = None
    """"cpu", "cuda" or "cuda:1"; by default a GPU where there is one."""
    timing: bool = True
    """Also measure time and memory."""
    resume: bool = False
    """Go on with a recovery that was interrupted in --out."""
    overwrite: bool = False
    """Replace an earlier run in --out."""


def command(
    network: str,
    *,
    data: Path,
    out: Annotated[Path | None, Parameter(name=["--out", "-o"])] = None,
    settings: Annotated[CompressSettings, Parameter(name="*")] = CompressSettings(),  # noqa: B008 (frozen)
) -> None:
    """Make a network smaller to a budget, recover its quality, write a run folder.

    Parameters
    ----------
    network
        A checkpoint file, a constructor such as "edsr(scale=2, blocks=16)", or "package.module:factory".
    data
        Folder of high-resolution images, or of HR/LR pairs, to recover and measure on.
    out
        Run folder to write; by default a new one in runs/, named after network, method and budget.
    """
    place = out or run.fresh(f"{run.stem(network)}-{settings.method}-{settings.budget.replace('=', '')}")
    finish_on_terminal(compress(network, data, place, settings))


def finish_on_terminal(out: Path) -> None:
    """Print the result table of a finished run, what it means, and where the report is."""
    finished = folder.read(out)
    console = output()
    console.print(result_table(rows(finished)))
    console.print(f"\n{sentence(finished)}\n\n{out / folder.PAGE}", soft_wrap=True, markup=False)


def compress(reference: str, data: Path, out: Path, settings: CompressSettings) -> Path:
    """Compress a network with the images of `data` and write the run folder `out`; return it.

    Raises:
        EspalierError: anything that a person can mend: network, images, budget, or place to write.
    """
    request = _request(settings)
    dense = opened(reference, settings.scale).to(pick(settings.device))
    material = sets.material([data], settings.test, settings.hold_out, dense.scale, Workers())
    fitting = _fitting(dense, material, settings, out)
    if settings.resume and (out / PRUNED).is_file():
        pruned = load(out / PRUNED).to(pick(settings.device))
    else:
        if not (settings.resume and (out / folder.CONFIG).is_file()):
            run.begin(out, _kept_settings(reference, data, settings), overwrite=settings.overwrite)
        say(f"pruning {dense.name} ×{dense.scale} to {settings.budget}")
        made = prune(dense, request, material.train, Training(fitting, fitting.score))
        pruned = made.network
        _write_pruned(made, settings, out)
    run.write_json(
        out / folder.COST, measure.costs({"dense": dense, "pruned": pruned}, timed=settings.timing)
    )
    versions = _upscalers(dense, pruned)
    quality = measure.quality_of_images(versions, material.test)
    if settings.recover:
        recovered = fitting.recovered(
            pruned, settings.recover, teacher=settings.teacher, optimizer=settings.optimizer, lr=settings.lr
        )
        file.save(recovered, out / folder.NETWORK)
        if settings.keep_architecture:
            write_plain(recovered, out / folder.PLAIN)
        after = {"recovered": by_network(recovered)}
        quality |= measure.quality_of_images(after, material.test)
        versions |= after
    _finish(out, dense.name, quality, material, versions)
    fitting.tidy()
    return out


def _write_pruned(made: Pruned, settings: CompressSettings, out: Path) -> None:
    """The network as the method left it, and its plan."""
    if made.network.masks:
        say(f"{sparsity(made.network.masks):.2%} of the weights that may be sparse are zero")
    if made.plan is not None:
        say(f"proven: the cut network equals the masked one to {made.plan.notes['proof']:.0e}")
        write_text(out / folder.PLAN, made.plan.to_json())
    if settings.keep_architecture:  # now, so that it does not fail after a long recovery
        write_plain(made.network, out / folder.PLAIN)
    file.save(made.network, out / (PRUNED if settings.recover else folder.NETWORK))


def _request(settings: CompressSettings) -> Request:
    return Request(
        budget=settings.budget,
        method=settings.method,
        criterion=settings.criterion,
        allocation=settings.allocation,
        round_to=settings.round_to,
        latency_runtime=settings.latency_runtime,
        protect=settings.protect,
        seed=settings.seed,
        keep_architecture=settings.keep_architecture,
        heads=settings.heads,
        options=settings.options,
    )


def _kept_settings(reference: str, data: Path, settings: CompressSettings) -> dict[str, Any]:
    """What `--config` needs to do the same again; the output folder is named anew each time."""
    told = settings.model_dump(mode="json", exclude={"overwrite", "resume"}, exclude_none=True)
    return {"network": reference, "data": str(data), **told}


def _upscalers(dense: Network, pruned: Network) -> dict[str, Upscaler]:
    return {"bicubic": bicubic(dense.scale), "dense": by_network(dense), "pruned": by_network(pruned)}


def _fitting(dense: Network, material: Material, settings: CompressSettings, out: Path) -> Fitting:
    return Fitting(
        images=material.train,
        test=material.test,
        dense=dense,
        run=out,
        batch=settings.batch,
        patch=settings.patch,
        lr=RATES["adam"] if settings.lr is None or settings.optimizer == "soap" else settings.lr,
        seed=settings.seed,
        resume=settings.resume,
    )


def _finish(
    out: Path,
    name: str,
    quality: Mapping[str, Evaluation],
    material: Material,
    versions: Mapping[str, Upscaler],
) -> None:
    """Write the measurements, the pictures and the reports."""
    run.write_json(out / folder.METRICS, measure.metrics(quality, name, material.name))
    final = "recovered" if "recovered" in versions else "pruned"
    write_crops(out, material.test, versions, final)
    write(out)
