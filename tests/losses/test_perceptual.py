"""The perceptual loss, on a VGG19 with random weights in place of the real file."""

import hashlib
from pathlib import Path

import pytest
import torch

from espalier.losses import perceptual, terms
from espalier.losses.weighted import LossError


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    torch.manual_seed(0)
    state = {f"features.{name}": value for name, value in perceptual.network().state_dict().items()}
    state["classifier.0.weight"] = torch.zeros(1)
    path = tmp_path_factory.mktemp("vgg") / "vgg19.pth"
    torch.save(state, path)
    return path


@pytest.fixture(autouse=True)
def forgotten() -> None:
    perceptual.load.cache_clear()


@pytest.fixture
def trusted(weights: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(perceptual, "SHA256", hashlib.sha256(weights.read_bytes()).hexdigest()[:8])
    monkeypatch.setenv("ESPALIER_VGG19", str(weights))
    return weights


def test_zero_for_equal_images_and_a_gradient_for_others(trusted: Path) -> None:
    (term,) = terms({"perceptual": 0.5})
    image = torch.rand(1, 3, 32, 32)
    assert term.loss(image, image).item() == 0
    other = torch.rand(1, 3, 32, 32, requires_grad=True)
    term.loss(other, image).backward()
    assert other.grad is not None
    assert other.grad.abs().max() > 0
    assert trusted.exists()


def test_layers_add_up(trusted: Path) -> None:
    a, b = torch.rand(2, 1, 3, 32, 32)
    one, two, both = (
        perceptual.build(trusted, layers)(a, b)
        for layers in ({"conv1_2": 2.0}, {"relu3_4": 1.0}, {"conv1_2": 2.0, "relu3_4": 1.0})
    )
    assert both.item() == pytest.approx((one + two).item(), rel=1e-5)


def test_names_fit_the_network() -> None:
    kinds = {"conv": torch.nn.Conv2d, "relu": torch.nn.ReLU, "pool": torch.nn.MaxPool2d}
    layers = list(zip(perceptual.names(), perceptual.network(), strict=True))
    assert all(isinstance(layer, kinds[name[:4]]) for name, layer in layers)
    assert layers[34][0] == "conv5_4"


def test_without_weights_it_says_how_to_get_them(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("ESPALIER_VGG19", raising=False)
    with pytest.raises(LossError, match=r"https://download\.pytorch\.org/models/vgg19-dcbb9e9d\.pth"):
        terms({"perceptual": 1})


def test_another_file_is_refused_by_its_digest(weights: Path) -> None:
    with pytest.raises(LossError, match="is not torchvision's VGG19"):
        perceptual.build(weights)
    with pytest.raises(LossError, match="cannot read the VGG19 weights"):
        perceptual.build(weights.with_name("missing.pth"))


def test_unknown_layer(trusted: Path) -> None:
    with pytest.raises(LossError, match="no layer 'conv6_1'"):
        perceptual.build(trusted, {"conv6_1": 1})


def test_published_layers(trusted: Path) -> None:
    a, b = torch.rand(2, 1, 3, 32, 32)
    seen, wanted = (perceptual.extract(perceptual.load(trusted), x, {"relu5_4": 1}) for x in (a, b))
    expected = (seen["relu5_4"] - wanted["relu5_4"]).square().mean()
    assert perceptual.build(trusted, "srgan")(a, b).item() == pytest.approx(expected.item(), rel=1e-5)
    assert perceptual.build(trusted)(a, b) == perceptual.build(trusted, {"conv5_4": 1.0})(a, b)
    assert perceptual.build(trusted, "real-esrgan")(a, b) > 0
    with pytest.raises(LossError, match="no layers are called 'srgam'; there are srgan"):
        perceptual.build(trusted, "srgam")
    with pytest.raises(LossError, match="no distance is called 'l3'"):
        perceptual.build(trusted, "srgan", "l3")
