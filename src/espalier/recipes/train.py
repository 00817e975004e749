"""`espalier train`: a network trained on folders of images."""

from pathlib import Path
from typing import Annotated, Any

import torch
from cyclopts import Parameter

from espalier.data import PackedImages, pack
from espalier.data.shards import Shards, ShardSettings
from espalier.networks.file import save
from espalier.networks.load import load
from espalier.networks.network import Network
from espalier.recipes import run
from espalier.recipes.config import TrainConfig
from espalier.recipes.console import counting, output
from espalier.report import folder
from espalier.training import History, fit, psnr_on
from espalier.training.board import board
from espalier.training.device import images_on, pick
from espalier.training.distributed import Workers, joined
from espalier.training.validation import Validation, on_sets

HELD_OUT = 8
"""Images kept for validation at most, where none are given: a twentieth of the set."""


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
        The run folder: settings, log, checkpoints, and in the end `network.safetensors`.
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
    asked |= {"hold_out": hold_out, "teacher": teacher, "device": device}
    with joined() as workers:
        if workers.writes and not (resume and (out / folder.CONFIG).is_file()):
            run.begin(out, _plain(asked) | train.model_dump(mode="json"))
        torch.manual_seed(train.seed)
        place = pick(device)
        student = load(network, scale=scale).to(place)
        if all(name.endswith(".tar") for name in data):
            batches, validate = from_shards(student.scale, data, validation, train, workers)
        else:
            images, validate = prepare(student.scale, data, validation, hold_out, workers)
            batches = train.patches(images_on(images, place))
        listeners = [board(out / "tensorboard")] if tensorboard and workers.writes else []
        history = fit(
            student,
            batches,
            train.settings(),
            teacher=None if teacher is None else load(teacher, scale=student.scale).to(place),
            validate=validate,
            run=out,
            resume=resume,
            listeners=listeners,
        )
        if workers.writes:
            finish(student, history, out)


def from_shards(
    scale: int, data: list[str], validation: list[Path] | None, train: TrainConfig, workers: Workers
) -> tuple[Shards, Validation | None]:
    """Patches streamed from tar files, and how to validate."""
    settings = ShardSettings(scale, train.patch, train.seed, train.augment, train.degrade())
    held = {folder.name: pack(folder, scale) for folder in validation or []}
    shards = Shards(data, settings, rank=workers.rank, workers=workers.count)
    return shards, on_sets(held) if held else None


def prepare(
    scale: int, data: list[str], validation: list[Path] | None, hold_out: int | None, workers: Workers
) -> tuple[PackedImages, Validation | None]:
    """Packed images to train on, and how to validate."""
    if workers.rank:  # the first worker fills the cache, the others find it filled
        workers.wait()
    with counting("packing images") as told:
        images = pack(data, scale, progress=told)
        held = {f.name: pack(f, scale, progress=told) for f in validation or []}
    if not workers.rank:
        workers.wait()
    count = min(HELD_OUT, len(images) // 20) if hold_out is None else hold_out
    if held:
        return images, on_sets(held)
    if not count:
        return images, None
    images, kept = images.hold_out(count)
    return images, psnr_on(kept)


def finish(network: Network, history: History, out: Path) -> None:
    """Write the trained network and say where it is."""
    facts: dict[str, Any] = {"steps": history.steps}
    if history.best is not None:
        facts["psnr"] = history.last_psnr
    save(network.cpu(), out / folder.NETWORK, metadata=facts)
    told = "" if history.best is None else f", {history.last_psnr:.3f} dB on the validation images"
    output().print(f"{history.steps} steps{told}: {out / folder.NETWORK}", markup=False)


def _plain(asked: dict[str, Any]) -> dict[str, Any]:
    """Flags as YAML can hold them; what was not given is left out."""
    plain = {key: value for key, value in asked.items() if value is not None}
    return {key: _text(value) for key, value in plain.items()}


def _text(value: Any) -> Any:
    if isinstance(value, list):
        return [str(item) for item in value]
    return str(value) if isinstance(value, Path) else value
