"""From a list of losses to a training."""

import hashlib
from pathlib import Path

import pytest
import torch
from pydantic import ValidationError

from espalier.distillation.adversary import Adversary
from espalier.distillation.features import Inside
from espalier.losses import perceptual
from espalier.losses.weighted import LossError
from espalier.networks.load import load
from espalier.networks.network import Network
from espalier.recipes.teaching import DistillConfig, lesson


@pytest.fixture
def two() -> tuple[Network, Network]:
    """Student and teacher."""
    small, large = (load(f"srresnet(scale=2, blocks={n}, channels=4, kernel=3)") for n in (1, 2))
    return small, large


@pytest.fixture
def vgg(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A file that is not torchvision's, named as if it were."""
    path = tmp_path / "vgg19.pth"
    path.write_bytes(b"something else")
    monkeypatch.setenv("ESPALIER_VGG19", str(path))
    perceptual.load.cache_clear()
    return path


def test_losses_find_their_place(two: tuple[Network, Network]) -> None:
    losses = "l1=1,teacher=0.5,teacher-mse=0.2,features=0.1,attention=2,gan=0.001"
    found = lesson(DistillConfig(losses=losses, steps=7), *two)
    assert dict(found.settings.losses) == {"l1": 1, "teacher": 0.5, "teacher-mse": 0.2}
    assert found.settings.steps == 7
    inside, adversary = found.methods
    assert isinstance(inside, Inside)
    assert inside.weights == {"features": 0.1, "attention": 2}
    assert [pair.teacher for pair in inside.pairs] == ["blocks.1"]
    assert isinstance(adversary, Adversary)
    assert adversary.settings.weight == 0.001


def test_a_weight_of_zero_leaves_a_loss_out(two: tuple[Network, Network]) -> None:
    assert lesson(DistillConfig(losses="l1=1,features=0,gan=0"), *two).methods == ()


def test_the_discriminator_follows_the_learning_rate(two: tuple[Network, Network]) -> None:
    config = DistillConfig.model_validate(
        {
            "losses": "l1=1,gan=1",
            "steps": 100,
            "lr": 1e-3,
            "warmup": 9,
            "gan": {"lr": 0.5, "norm": "spectral"},
        }
    )
    (adversary,) = lesson(config, *two).methods
    assert isinstance(adversary, Adversary)
    assert adversary.lr(0) == pytest.approx(5e-5)
    assert adversary.lr(9) == pytest.approx(5e-4)
    assert adversary.lr(99) < 1e-5
    assert adversary.settings.options == {"channels": 64, "norm": "spectral"}
    unet = config.model_copy(update={"gan": config.gan.model_copy(update={"discriminator": "unet"})})
    (adversary,) = lesson(unet, *two).methods
    assert isinstance(adversary, Adversary)
    assert adversary.settings.options == {"channels": 64}


def test_named_layers(two: tuple[Network, Network]) -> None:
    config = DistillConfig.model_validate({"losses": "l1=1,affinity=1", "features": {"layers": "fuse, head"}})
    (inside,) = lesson(config, *two).methods
    assert isinstance(inside, Inside)
    assert [pair.student for pair in inside.pairs] == ["fuse", "head"]


def test_without_vgg_the_perceptual_loss_is_off_and_that_is_said(
    two: tuple[Network, Network], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("ESPALIER_VGG19", raising=False)
    found = lesson(DistillConfig(losses="l1=1,perceptual=0.006"), *two)
    assert dict(found.settings.losses) == {"l1": 1}
    (note,) = found.notes
    assert "perceptual is off" in note
    assert "https://download.pytorch.org/models/vgg19-dcbb9e9d.pth" in note


def test_with_vgg_it_takes_the_layer_of_srgan(two: tuple[Network, Network], vgg: Path) -> None:
    assert vgg.exists()
    found = lesson(DistillConfig(losses="l1=1,perceptual=0.006"), *two)
    assert found.settings.loss_options == {"perceptual": {"layers": "srgan"}}
    assert found.notes == ()
    options = {"perceptual": {"layers": "real-esrgan"}}
    found = lesson(DistillConfig(losses="l1=1,perceptual=1", loss_options=options), *two)
    assert found.settings.loss_options["perceptual"]["layers"] == "real-esrgan"


def test_a_wrong_file_is_refused_by_its_digest(two: tuple[Network, Network], vgg: Path) -> None:
    from espalier.losses import terms

    found = lesson(DistillConfig(losses="l1=1,perceptual=0.006"), *two).settings
    digest = hashlib.sha256(vgg.read_bytes()).hexdigest()[:8]
    with pytest.raises(LossError, match=f"is not torchvision's VGG19: its SHA-256 is {digest}"):
        terms(found.losses, found.loss_options)


def test_mistakes_are_explained(two: tuple[Network, Network]) -> None:
    with pytest.raises(LossError, match="no loss is called 'gann'; did you mean 'gan'"):
        lesson(DistillConfig(losses="l1=1,gann=1"), *two)
    with pytest.raises(LossError, match="no loss is called 'teacher-gan2'"):
        lesson(DistillConfig(losses="l1=1,teacher-gan2=1"), *two)
    with pytest.raises(ValidationError, match="relativistic"):
        DistillConfig.model_validate({"gan": {"kind": "wasserstein"}})


def test_torch_is_left_as_it_was(two: tuple[Network, Network]) -> None:
    before = torch.get_rng_state()
    lesson(DistillConfig(losses="l1=1,features=1,gan=1"), *two)
    assert torch.equal(before, torch.get_rng_state())
