"""Going on with other settings than before."""

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from torch import nn

from espalier.data import PackedImages
from espalier.training import TrainingError, TrainSettings, fit
from espalier.training.resuming import FREE, check_settings, unchanged

SETTINGS = TrainSettings(steps=4, batch=2, patch=6, save_every=2)
FOLDER = "the checkpoint of step 4"


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"lr": 1e-3}, r"lr was 0\.0002 and is now 0\.001\. Give them as they were"),
        (
            {"losses": {"l1": 1.0, "mse": 0.5}},
            r"losses was {'l1': 1\.0} and is now {'l1': 1\.0, 'mse': 0\.5}",
        ),
        ({"batch": 4, "seed": 1}, "batch was 2 and is now 4; seed was 0 and is now 1"),
    ],
)
def test_other_settings_are_named(
    network: Callable[[], nn.Module],
    images: PackedImages,
    tmp_path: Path,
    changed: dict[str, Any],
    message: str,
) -> None:
    fit(network(), images, SETTINGS, run=tmp_path, progress=False)
    other = dataclasses.replace(SETTINGS, **changed)
    with pytest.raises(TrainingError, match=f"of {FOLDER}: {message}") as caught:
        fit(network(), images, other, run=tmp_path, resume=True, progress=False)
    assert f"only {', '.join(FREE)} may change" in str(caught.value)


def test_more_steps_and_other_intervals_may_be_given(
    network: Callable[[], nn.Module], images: PackedImages, tmp_path: Path
) -> None:
    fit(network(), images, SETTINGS, run=tmp_path, progress=False)
    longer = dataclasses.replace(SETTINGS, steps=6, save_every=3, log_every=1, validate_every=2)
    assert fit(network(), images, longer, run=tmp_path, resume=True, progress=False).steps == 6


def test_what_an_older_checkpoint_did_not_know_had_its_default() -> None:
    was = dataclasses.asdict(SETTINGS)
    del was["sync_batchnorm"]
    check_settings(was, SETTINGS, 4)
    with pytest.raises(TrainingError, match="sync_batchnorm was False and is now True"):
        check_settings(was, dataclasses.replace(SETTINGS, sync_batchnorm=True), 4)


def test_lists_and_tuples_are_alike() -> None:
    unchanged({"a": [1, (2,)], "b": 1}, {"a": (1, [2]), "b": 2}, ("b",), "a file")
    with pytest.raises(TrainingError, match="a was None and is now 1"):
        unchanged({}, {"a": 1}, (), "a file")
