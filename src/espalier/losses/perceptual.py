"""Distance between VGG19 features (Johnson et al. 2016), at the layers of SRGAN, ESRGAN or Real-ESRGAN.

The ImageNet weights are torchvision's file, not shipped: ESPALIER_VGG19 or the option `weights` names it.
"""

import hashlib
import os
from collections.abc import Callable, Mapping
from functools import lru_cache
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn.functional import l1_loss, mse_loss

from espalier.losses.weighted import Loss, LossError

SHA256 = "dcbb9e9d"
"""How the digest of torchvision's file begins; its name, vgg19-dcbb9e9d.pth, says so too."""
ADDRESS = "https://download.pytorch.org/models/vgg19-dcbb9e9d.pth"
ADVICE = f"get {ADDRESS} and set ESPALIER_VGG19 to its path, or leave the loss out"
MISSING = f"the perceptual loss needs VGG19's ImageNet weights, and none are named; {ADVICE}"
WIDTHS = ((64, 64), (128, 128), (256,) * 4, (512,) * 4, (512,) * 4)
MEAN, SPREAD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
DISTANCES = {"l1": l1_loss, "mse": mse_loss}
PUBLISHED = {
    "srgan": ({"relu5_4": 1.0}, "mse"),
    "esrgan": ({"conv5_4": 1.0}, "l1"),
    "real-esrgan": ({"conv1_2": 0.1, "conv2_2": 0.1, "conv3_4": 1.0, "conv4_4": 1.0, "conv5_4": 1.0}, "l1"),
}
"""Weights by layer and the distance: Ledig et al. 2017 (weight 0.006), Wang et al. 2018, Wang et al. 2021."""


def build(
    weights: str | Path | None = None,
    layers: Mapping[str, float] | str = "esrgan",
    distance: str | None = None,
) -> Loss:
    """Distance between features, weighted by layer: "conv1_1" to "conv5_4" and "relu1_1" to "relu5_4".

    `layers` may also name one of `PUBLISHED`, whose `distance` it then takes; otherwise that is "l1".

    Raises:
        LossError: no file of weights, another file, or an unknown layer or distance.
    """
    chosen, measure = _chosen(layers, distance)
    features = load(Path(weights) if weights else path())

    def perceptual(output: Tensor, target: Tensor) -> Tensor:
        vgg = features.to(output.device)
        seen, wanted = extract(vgg, output, chosen), extract(vgg, target.detach(), chosen)
        return torch.stack(
            [weight * measure(seen[name], wanted[name]) for name, weight in chosen.items()]
        ).sum()

    return perceptual


def _chosen(
    layers: Mapping[str, float] | str, distance: str | None
) -> tuple[dict[str, float], Callable[[Tensor, Tensor], Tensor]]:
    if isinstance(layers, str):
        if layers not in PUBLISHED:
            raise LossError(f"no layers are called {layers!r}; there are {', '.join(PUBLISHED)}")
        layers, own = PUBLISHED[layers]
        distance = distance or own
    unknown = sorted(set(layers) - set(names()))
    if unknown:
        raise LossError(f"VGG19 has no layer {unknown[0]!r}; there are conv1_1, relu1_1 to conv5_4, relu5_4")
    if (distance or "l1") not in DISTANCES:
        raise LossError(f"no distance is called {distance!r}; there are {', '.join(DISTANCES)}")
    return dict(layers), DISTANCES[distance or "l1"]


def names() -> list[str]:
    """Names of the layers of `network`, in order."""
    listed: list[str] = []
    for stage, widths in enumerate(WIDTHS, start=1):
        for number in range(1, len(widths) + 1):
            listed += [f"conv{stage}_{number}", f"relu{stage}_{number}"]
        listed.append(f"pool{stage}")
    return listed


def network() -> nn.Sequential:
    """The convolutional part of VGG19 (Simonyan and Zisserman 2015, configuration E), untrained."""
    layers: list[nn.Module] = []
    before = 3
    for widths in WIDTHS:
        for width in widths:
            layers += [nn.Conv2d(before, width, 3, padding=1), nn.ReLU()]
            before = width
        layers.append(nn.MaxPool2d(2))
    return nn.Sequential(*layers)


def extract(vgg: nn.Sequential, images: Tensor, layers: Mapping[str, float]) -> dict[str, Tensor]:
    """Features of RGB images in 0..1 by layer, no further than the last one asked for."""
    mean, spread = (images.new_tensor(values).view(1, 3, 1, 1) for values in (MEAN, SPREAD))
    found, x = {}, (images - mean) / spread
    for name, layer in zip(names(), vgg):
        x = layer(x)
        if name in layers:
            found[name] = x
        if len(found) == len(layers):
            break
    return found


@lru_cache(maxsize=1)
def load(path: Path) -> nn.Sequential:
    """Weights from torchvision's file, checked by its digest, frozen.

    Raises:
        LossError: the file is missing or another one.
    """
    try:
        digest = hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError as error:
        raise LossError(
            f"cannot read the VGG19 weights {path}: {error.strerror or error}; {ADVICE}"
        ) from error
    if not digest.startswith(SHA256):
        raise LossError(
            f"{path} is not torchvision's VGG19: its SHA-256 is {digest[:8]}..., expected {SHA256}..."
        )
    state = torch.load(path, map_location="cpu", weights_only=True)
    vgg = network()
    vgg.load_state_dict(
        {k.removeprefix("features."): v for k, v in state.items() if k.startswith("features.")}
    )
    return vgg.eval().requires_grad_(False)


def path() -> Path:
    """The file that ESPALIER_VGG19 names.

    Raises:
        LossError: none is named.
    """
    given = os.environ.get("ESPALIER_VGG19")
    if not given:
        raise LossError(MISSING)
    return Path(given)
