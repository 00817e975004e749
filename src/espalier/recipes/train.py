"""`espalier train`: a network trained on folders of images."""

from pathlib import Path
from typing import Annotated, Any

import torch
from cyclopts import Parameter

from espalier.files import write_text
from espalier.networks.file import save
from espalier.networks.load import load
from espalier.networks.network import Network
from espalier.recipes import run, sets
from espalier.recipes.config import TrainConfig
from espalier.recipes.console import output
from espalier.report import folder
from espalier.report.write import write
from espalier.training import History, fit
from espalier.training.board import board
from espalier.training.device import pick
from espalier.training.distributed import joined
from espalier.training.resuming import FREE, unchanged
from espalier.training.step import task

MAY_CHANGE = (*FREE, "out", "device", "validation")
"""What a resumed run may be given anew."""


def command(
    network: str,
    *,
    data: list[str],
    out: Path,
    scale: int | None = None,
    validation: list[Path] | None = None,
    hold_out: int | None = None,
    teacher: str | None = None,
    resume: bool = False,
    device: str | None = None,
    tensorboard: bool = False,
    train: Annotated[TrainConfig, Parameter(name="*")] = TrainConfig(),  # noqa: B008 (frozen)
) -> None:
    """Train a network on folders of images; under torchrun on all its workers.

    Parameters
    ----------
    network
        A checkpoint file, a constructor such as "edsr(scale=2, blocks=16)", or "package.module:factory".
    data
        Folders of high-resolution images, or of HR/LR pairs; or tar files of images, for very large sets.
    out
        The run folder: settings, log, checkpoints, and in the end `network.safetensors` and the report.
    scale
        For networks of several scales: the one wanted.
    validation
        Folders to measure PSNR on while training.
    hold_out
        Images of `data` kept back for that instead; by default a twentieth, at most 8.
    teacher
        A network to learn from: with --losses "l1=1,teacher=1".
    resume
        Go on with the run in `out`.
    device
        "cpu", "cuda", "cuda:1"; by default a GPU where there is one.
    tensorboard
        Also write the log for tensorboard, into `out`/tensorboard.
    """
    asked = {"network": network, "data": data, "out": out, "scale": scale, "validation": validation}
    config = _plain(asked | {"hold_out": hold_out, "teacher": teacher, "device": device}, train)
    with joined() as workers:
        place = pick(device)
        torch.manual_seed(train.seed)
        student = load(network, scale=scale).to(place)
        taught = None if teacher is None else load(teacher, scale=student.scale).to(place)
        batches, validate = sets.opened(
            data, validation, hold_out, scale=student.scale, train=train, place=place, workers=workers
        )
        task(batches, train.settings(), taught)  # a mistake in the losses leaves no folder behind
        start(out, config, resume=resume, writes=workers.writes)
        listeners = [board(out / "tensorboard")] if tensorboard and workers.writes else []
        history = fit(
            student,
            batches,
            train.settings(),
            teacher=taught,
            validate=validate,
            run=out,
            resume=resume,
            listeners=listeners,
        )
        if workers.writes:
            finish(student, history, out, config)


def start(out: Path, config: dict[str, Any], *, resume: bool, writes: bool) -> None:
    """Make the run folder, or compare with the settings that its run began with.

    Raises:
        TrainingError: one differs that may not; one that an older version did not know had its default.
        OutputError: the folder holds a run that is not to be resumed.
    """
    if resume and (out / folder.CONFIG).is_file():
        began = TrainConfig().model_dump(mode="json") | folder.read(out).config
        unchanged(began, config, MAY_CHANGE, str(out / folder.CONFIG))
    elif writes:
        run.begin(out, config, instead=run.RESUME)


def finish(network: Network, history: History, out: Path, config: dict[str, Any]) -> None:
    """Write the trained network, the settings that it had in the end and the report; say where they are."""
    write_text(out / folder.CONFIG, run.dump(config))
    facts: dict[str, Any] = {"steps": history.steps}
    if history.best is not None:
        facts["psnr"] = history.last_psnr
    save(network.cpu(), out / folder.NETWORK, metadata=facts)
    write(out)
    told = "" if history.best is None else f", {history.last_psnr:.3f} dB on the validation images"
    output().print(f"{history.steps} steps{told}: {out / folder.NETWORK}\n{out / folder.PAGE}", markup=False)


def _plain(asked: dict[str, Any], train: TrainConfig) -> dict[str, Any]:
    """Flags as YAML can hold them; what was not given is left out."""
    plain = {key: _text(value) for key, value in asked.items() if value is not None}
    return plain | train.model_dump(mode="json")


def _text(value: Any) -> Any:
    if isinstance(value, list):
        return [str(item) for item in value]
    return str(value) if isinstance(value, Path) else value
