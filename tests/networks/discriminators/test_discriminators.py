"""Discriminators: shapes, gradients, spectral norm."""

import pytest
import torch

from espalier.errors import NetworkError
from espalier.networks import discriminators

SMALL = {"channels": 4}


def test_all_are_found() -> None:
    assert discriminators.names() == ["srgan", "unet"]


@pytest.mark.parametrize("side", [24, 50, 96])
@pytest.mark.parametrize("norm", ["batch", "spectral", "none"])
def test_srgan_gives_one_logit_per_image(side: int, norm: str) -> None:
    judge = discriminators.build("srgan", norm=norm, **SMALL)
    image = torch.rand(2, 3, side, side, requires_grad=True)
    logits = judge(image)
    assert logits.shape == (2, 1)
    logits.sum().backward()
    assert image.grad is not None
    assert all(p.grad is not None and p.grad.isfinite().all() for p in judge.parameters())


def test_srgan_has_the_published_layers() -> None:
    with torch.device("meta"):
        judge = discriminators.build("srgan")
    convs = [m for m in judge.modules() if isinstance(m, torch.nn.Conv2d)]
    assert [c.out_channels for c in convs] == [64, 64, 128, 128, 256, 256, 512, 512]
    assert [c.stride[0] for c in convs] == [1, 2, 1, 2, 1, 2, 1, 2]
    dense = [m for m in judge.modules() if isinstance(m, torch.nn.Linear)]
    assert [(d.in_features, d.out_features) for d in dense] == [(512 * 36, 1024), (1024, 1)]
    assert sum(isinstance(m, torch.nn.BatchNorm2d) for m in judge.modules()) == 7


@pytest.mark.parametrize("side", [24, 50])
def test_unet_gives_one_logit_per_pixel(side: int) -> None:
    judge = discriminators.build("unet", **SMALL)
    image = torch.rand(2, 3, side, side, requires_grad=True)
    logits = judge(image)
    assert logits.shape == (2, 1, side, side)
    logits.sum().backward()
    assert all(p.grad is not None for p in judge.parameters())


def test_spectral_norm_bounds_the_layers() -> None:
    judge = discriminators.build("unet", **SMALL).train()
    for _ in range(30):  # one power iteration each
        judge(torch.rand(1, 3, 16, 16))
    for layer in [*judge.down, *judge.up, *judge.last]:
        assert torch.linalg.matrix_norm(layer.weight.flatten(1), 2).item() == pytest.approx(1, abs=0.05)


def test_mistakes_are_explained() -> None:
    with pytest.raises(NetworkError, match="did you mean 'unet'"):
        discriminators.build("unett")
    with pytest.raises(NetworkError, match="unet has no option 'norm'; it has channels"):
        discriminators.build("unet", norm="batch")
