"""`espalier compress-gan`: distil a generator, prune it while it goes on learning, measure what became of it."""

import copy
from pathlib import Path
from typing import Annotated, Any, Literal

from cyclopts import Parameter
from pydantic import BaseModel, ConfigDict, Field

from espalier.distillation.adversary import NAME
from espalier.distillation.thinning import interval, keep, thinning
from espalier.losses import parse
from espalier.networks import file
from espalier.networks.load import load
from espalier.networks.network import Network
from espalier.recipes import run, stages
from espalier.recipes.asked import Asked
from espalier.recipes.console import say
from espalier.recipes.distill import BEGUN, prepared, report, teach
from espalier.recipes.opening import opened
from espalier.recipes.sets import Material, material
from espalier.recipes.students import pruned
from espalier.recipes.teaching import DistillConfig
from espalier.report import folder
from espalier.training.checkpoint import newest_checkpoint
from espalier.training.device import pick
from espalier.training.distributed import Workers, joined

DISTILLED = "distilled.safetensors"
CUT = "checkpoints/cut.safetensors"
"""The distilled student after the second, structured cut."""


class GanTraining(DistillConfig):
    """How the student is taught, in both stages."""

    losses: str = "l1=1,mse=1,teacher=1,teacher-mse=1,perceptual=0.006,gan=0.001"
    """Losses and weights: those of `espalier train`, teacher, features, attention, affinity, gan."""


class PruneSettings(BaseModel):
    """What is pruned, and how."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)

    student: str = "pruned:params=0.6"
    """"pruned:params=0.6" for the teacher after calibrated pruning, "blocks=8" for fewer blocks, or a network."""
    prune: float = Field(default=0.18, gt=0, lt=1)
    """Share of the student's parameters that goes in the second stage."""
    spread: Literal["global", "layer", "structured"] = "global"
    """Single weights, the smallest of all or of each layer; or whole channels, for real speed."""
    rounds: int = Field(default=6, ge=1)
    """In how many rounds single weights go."""
    prune_steps: int | None = Field(default=None, ge=0)
    """Steps of the second stage; by default half of --steps."""

    def steps(self, first: int) -> int:
        """Steps of the second stage.

        Raises:
            PlanError: they are too few for the rounds.
        """
        steps = first // 2 if self.prune_steps is None else self.prune_steps
        if self.spread != "structured":
            interval(steps, self.rounds)
        return steps


def command(
    teacher: str,
    *,
    asked: Annotated[Asked, Parameter(name="*")],
    prune: Annotated[PruneSettings, Parameter(name="*")] = PruneSettings(),  # noqa: B008 (frozen)
    train: Annotated[GanTraining, Parameter(name="*")] = GanTraining(),  # noqa: B008 (frozen)
) -> None:
    """Distil a generator, prune it while it goes on learning, measure what became of it.

    Parameters
    ----------
    teacher
        A checkpoint file, a constructor, or "package.module:factory".
    """
    config = (
        {"teacher": teacher} | asked.kept() | prune.model_dump(mode="json") | train.model_dump(mode="json")
    )
    prune.steps(train.steps)
    with joined() as workers:
        place = workers.same(asked.out or run.fresh(f"{run.stem(teacher)}-compressed"))
        taught = opened(teacher).to(pick(asked.device)).eval()
        images = material(asked.data, asked.test, asked.hold_out, taught.scale, workers)
        if workers.writes:
            prepared(place, prune.student, taught, images, train, config, resume=asked.resume)
        workers.wait()
        student = load(place / BEGUN).to(pick(asked.device))
        made = {"teacher": taught, "student": copy.deepcopy(student)}
        teach(student, taught, images, train, place, resume=asked.resume)
        made["distilled"] = student
        made["pruned"] = thinned(student, taught, images, prune, train, place, workers, resume=asked.resume)
        if workers.writes:
            file.save(made["pruned"], place / folder.NETWORK)
            finish(place, made, images, timing=asked.timing)


def thinned(
    distilled: Network,
    teacher: Network,
    images: Material,
    prune: PruneSettings,
    train: GanTraining,
    out: Path,
    workers: Workers,
    *,
    resume: bool,
) -> Network:
    """A smaller copy of the distilled student, taught on meanwhile."""
    steps = prune.steps(train.steps)
    if workers.writes:
        file.save(distilled, out / DISTILLED)
        if prune.spread == "structured" and not (resume and (out / CUT).is_file()):
            say(f"cutting channels: a further {prune.prune:.0%} of the parameters")
            cut = pruned(distilled, f"params={1 - prune.prune}", images.train, train.seed)
            file.save(cut, out / CUT)
    workers.wait()
    device = next(distilled.parameters()).device
    student = load(out / CUT).to(device) if prune.spread == "structured" else copy.deepcopy(distilled)
    methods = ()
    if prune.spread != "structured":
        methods = (thinning(student, prune.prune, prune.spread, steps=steps, rounds=prune.rounds),)
    second = train.model_copy(
        update={"steps": steps, "warmup": 0, "gan": train.gan.model_copy(update={"warmup": 0})}
    )
    run = out / folder.PHASES / "pruning"
    known = learned(out, train)
    teach(student, teacher, images, second, run, resume=resume, meanwhile=methods, learned=known)
    for method in methods:
        keep(student, method)
    return student


def learned(out: Path, train: GanTraining) -> dict[str, Any] | None:
    """What the adversary of the first stage knows."""
    state = newest_checkpoint(out / "checkpoints")
    if state is None or not parse(train.losses).get(NAME) or state["step"] <= train.gan.warmup:
        return None
    return state["method"]["methods"][-1]


def finish(out: Path, made: dict[str, Network], images: Material, *, timing: bool) -> None:
    """Measure all stages, write the reports, and print the table."""
    found = stages.measured(made, images.test, timing=timing)
    stages.write(out, found)
    report(out, made["teacher"], made["pruned"], images, timing=timing)
    stages.show(found, out)
