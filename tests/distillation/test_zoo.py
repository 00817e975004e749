"""Teachers of other kinds: an ESRGAN generator, and a transformer whose features are rows of tokens."""

from collections.abc import Callable

import pytest
import torch

from espalier.data import PackedImages
from espalier.distillation.features import Inside
from espalier.distillation.matching import pairs
from espalier.networks.load import load
from espalier.networks.network import Network
from espalier.training import TrainSettings, fit

TEACHERS = {
    "ESRGAN": "spandrel.ESRGAN(num_filters=8, num_blocks=3, scale=2)",
    "SwinIR": "spandrel.SwinIR(embed_dim=12, depths=[2, 2], num_heads=[2, 2], window_size=4, img_size=16, "
    "upscale=2, upsampler='pixelshuffledirect')",
}


@pytest.mark.parametrize("name", TEACHERS)
def test_a_student_looks_inside(name: str, generator: Callable[..., Network], images: PackedImages) -> None:
    torch.manual_seed(0)
    teacher, student = load(TEACHERS[name]).eval(), generator()
    found = pairs(student.body, teacher.body)
    assert len(found) == 2
    method = Inside(teacher, found, {"features": 0.1, "affinity": 0.1})
    settings = TrainSettings(steps=2, batch=2, patch=8, losses={"l1": 1.0, "teacher": 1.0}, log_every=1)
    history = fit(student, images, settings, teacher=teacher, method=method, progress=False)
    assert all(value > 0 for value in history.points[-1].losses.values())
