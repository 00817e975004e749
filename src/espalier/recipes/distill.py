"""`espalier distill`: a large network teaches a small one."""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import torch
from cyclopts import Parameter

from espalier.evaluation.upscale import bicubic, by_network
from espalier.methods.protocol import Method
from espalier.methods.together import Together
from espalier.networks import file
from espalier.networks.load import load
from espalier.networks.network import Network
from espalier.recipes import measure, run
from espalier.recipes.asked import Asked
from espalier.recipes.compress import finish_on_terminal
from espalier.recipes.console import say
from espalier.recipes.crops import write_crops
from espalier.recipes.opening import opened
from espalier.recipes.sets import Material, material
from espalier.recipes.students import made
from espalier.recipes.teaching import DistillConfig, lesson
from espalier.recipes.train import start
from espalier.report import folder
from espalier.report.write import write
from espalier.training import History, fit
from espalier.training.device import images_on, pick
from espalier.training.distributed import joined
from espalier.training.step import task

BEGUN = "checkpoints/student.safetensors"
"""The student as training finds it."""


def command(
    *,
    teacher: str,
    student: str,
    asked: Annotated[Asked, Parameter(name="*")],
    train: Annotated[DistillConfig, Parameter(name="*")] = DistillConfig(),  # noqa: B008 (frozen)
) -> None:
    """Let a network teach a smaller one; under torchrun on all its workers.

    Parameters
    ----------
    teacher
        A checkpoint file, a constructor, or "package.module:factory".
    student
        "blocks=8" for the teacher's architecture with other arguments, "pruned:params=0.6" for the teacher
        itself after calibrated pruning, or anything that a teacher can be.
    """
    config = {"teacher": teacher, "student": student} | asked.kept() | train.model_dump(mode="json")
    with joined() as workers:
        place = workers.same(asked.out or run.fresh(f"{run.stem(teacher)}-distilled"))
        taught = opened(teacher).to(pick(asked.device)).eval()
        images = material(asked.data, asked.test, asked.hold_out, taught.scale, workers)
        if workers.writes:
            prepared(place, student, taught, images, train, config, resume=asked.resume)
        workers.wait()
        pupil = load(place / BEGUN).to(pick(asked.device))
        teach(pupil, taught, images, train, place, resume=asked.resume)
        if workers.writes:
            file.save(pupil, place / folder.NETWORK)
            report(place, taught, pupil, images, timing=asked.timing)
            finish_on_terminal(place)


def prepared(
    out: Path,
    student: str,
    teacher: Network,
    images: Material,
    train: DistillConfig,
    config: dict[str, Any],
    *,
    resume: bool,
) -> None:
    """Make the student and the run folder; a mistake leaves no folder behind."""
    if not resume:
        run.free(out, run.RESUME)  # before minutes are spent on a student
    going_on = resume and (out / BEGUN).is_file()
    pupil = load(out / BEGUN) if going_on else made(student, teacher, images.train, train.seed)
    found = lesson(train, pupil, teacher)
    task(train.patches(images.train), found.settings, teacher)
    for note in found.notes:
        say(note)
    start(out, config, resume=resume, writes=True)
    if not going_on:
        file.save(pupil, out / BEGUN)


def teach(
    student: Network,
    teacher: Network,
    images: Material,
    train: DistillConfig,
    run: Path,
    *,
    resume: bool,
    meanwhile: tuple[Method, ...] = (),
    learned: Mapping[str, Any] | None = None,
) -> History:
    """Train `student` in place by the lesson that `train` describes; `learned` is an earlier adversary's state."""
    found = lesson(train, student, teacher, learned)
    device = next(student.parameters()).device
    torch.manual_seed(train.seed)
    return fit(
        student,
        train.patches(images_on(images.train, device)),
        found.settings,
        teacher=teacher,
        method=Together(*meanwhile, *found.methods),
        validate=images.validation,
        run=run,
        resume=resume,
    )


def report(out: Path, teacher: Network, student: Network, images: Material, *, timing: bool) -> None:
    """Measure teacher ("dense") and student ("recovered") and write the report."""
    networks = {"dense": teacher.eval(), "recovered": student.eval()}
    run.write_json(out / folder.COST, measure.costs(networks, timed=timing))
    versions = {"bicubic": bicubic(teacher.scale)} | {n: by_network(each) for n, each in networks.items()}
    quality = measure.quality_of_images(versions, images.test)
    run.write_json(out / folder.METRICS, measure.metrics(quality, teacher.name, images.name))
    write_crops(out, images.test, versions, "recovered")
    write(out)
