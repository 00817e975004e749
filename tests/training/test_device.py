"""Where images lie; the GPU is played."""

import pytest
import torch

from espalier.data import PackedImages
from espalier.training.device import images_on, pick
from espalier.training.errors import TrainingError


@pytest.mark.parametrize(("free", "moved"), [(1 << 30, True), (100, False)])
def test_the_whole_set_goes_to_a_gpu_that_has_room(
    images: PackedImages, monkeypatch: pytest.MonkeyPatch, free: int, moved: bool
) -> None:
    asked: list[torch.device] = []
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda _: (free, 1 << 40))
    monkeypatch.setattr(PackedImages, "to", lambda self, device: asked.append(device) or self)
    assert images_on(images, torch.device("cuda", 1)) is images
    assert asked == [torch.device("cuda", 1)] * moved


def test_on_the_cpu_it_stays_mapped(images: PackedImages) -> None:
    assert images_on(images, torch.device("cpu")) is images


def test_each_worker_has_a_gpu_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setenv("LOCAL_RANK", "3")
    assert pick() == torch.device("cuda", 3)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert pick() == pick("cpu") == torch.device("cpu")


@pytest.mark.parametrize("name", ["cuda:99", "tpu"])
def test_no_such_device(name: str) -> None:
    with pytest.raises(TrainingError, match=f"no device '{name}' here.*try --device cpu"):
        pick(name)
