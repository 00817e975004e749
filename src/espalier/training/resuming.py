"""A run goes on as it began: what may change in between, and what may not."""

import dataclasses
from collections.abc import Collection, Mapping
from typing import Any

from espalier.training.errors import TrainingError
from espalier.training.settings import TrainSettings

FREE = ("steps", "validate_every", "save_every", "log_every", "compile")
"""Settings that may change: another end moves the cosine from there on, the others move no weight."""


def check_settings(was: Mapping[str, Any], now: TrainSettings, step: int) -> None:
    """Compare the settings of a checkpoint of `step`; one that an older version did not know had its default.

    Raises:
        TrainingError: one of them differs; names all that do.
    """
    defaults = dataclasses.asdict(TrainSettings())
    unchanged(defaults | dict(was), dataclasses.asdict(now), FREE, f"the checkpoint of step {step}")


def unchanged(was: Mapping[str, Any], now: Mapping[str, Any], free: Collection[str], what: str) -> None:
    """Compare settings by name, all but the `free` ones.

    Raises:
        TrainingError: some differ.
    """
    told = [
        f"{name} was {was.get(name)!r} and is now {now.get(name)!r}"
        for name in sorted({*was, *now} - set(free))
        if _plain(was.get(name)) != _plain(now.get(name))
    ]
    if told:
        raise TrainingError(
            f"cannot go on with other settings than those of {what}: {'; '.join(told)}. Give them as they were, or"
            f" start in another folder; only {', '.join(free)} may change"
        )


def _plain(value: Any) -> Any:
    """Without the difference between tuples and lists, which files do not keep."""
    if isinstance(value, Mapping):
        return {name: _plain(item) for name, item in value.items()}
    return [_plain(item) for item in value] if isinstance(value, list | tuple) else value
