"""What the benchmark of sparse networks can be asked for: networks, how long they are trained, ways to sparsity."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

SETS = ("Set5", "Set14", "BSD100")


@dataclass(frozen=True)
class Preset:
    """One network and how long everything is trained on it."""

    reference: str
    scale: int
    steps: int
    lr: float
    batch: int
    patch: int
    images: str = "T91"
    take: int = 0
    """Train on the first so many images; 0 for all."""
    augment: bool = True
    pretrain: int = 0
    """Steps at which the dense network is trained from scratch first; 0 for published weights."""
    pretrain_lr: float = 1e-3


PRESETS = {
    "small": Preset("edsr(scale=2, blocks=2, channels=16)", 2, 300, 1e-3, 8, 24, pretrain=4000),
    "few": Preset(
        "edsr(scale=2, blocks=4, channels=16)", 2, 2000, 2e-3, 4, 16, take=1, augment=False, pretrain=2500
    ),
    "span": Preset("SPAN/team00_SPAN.pth", 4, 100, 2e-5, 4, 24, "BSDS500/train"),
    "rnet": Preset("RNet-EDSRlike/rnet_x4.pth", 4, 50, 5e-5, 4, 24, "BSDS500/train"),
    "imdn": Preset("IMDN/IMDN_x2.pth", 2, 50, 5e-5, 4, 24, "BSDS500/train"),
    "swinir": Preset(
        "spandrel.SwinIR(embed_dim=36, depths=[2, 2], num_heads=[4, 4], window_size=8, mlp_ratio=2, "
        "upscale=2, upsampler='pixelshuffledirect')",
        2, 300, 5e-4, 4, 16, pretrain=3000, pretrain_lr=1e-3,
    ),
}  # fmt: skip


@dataclass(frozen=True)
class Way:
    """How a sparse network is come by; `steps` of its own options are the preset's."""

    method: str = ""
    options: Mapping[str, Any] = field(default_factory=dict)
    trains: bool = True
    """Whether the method trains itself; otherwise it is trained under its masks afterwards."""
    after: bool = True
    dense: float = 0.0
    """Share of the steps, the last ones, in which all weights are trained again, at a tenth of the rate."""
    augment: bool = False
    """Flips and turns even where the preset has none."""
    teacher: float = 0.0
    """Weight of the distance to the output of the network that all begin with, for the dense one."""


WAYS = {
    "dense": Way(),
    "balanced, calibrated start (ours)": Way("dynamic", {"rule": "balanced", "start": "calibrated"}),
    "balanced, calibrated start, rewound (ours)": Way(
        "dynamic", {"rule": "balanced", "start": "calibrated", "rewind": 1 / 3}
    ),
    "dense-sparse-dense": Way("dynamic", {"rule": "balanced", "start": "calibrated"}, dense=0.3),
    "balanced, from scratch": Way("dynamic", {"rule": "balanced", "scratch": True}),
    "one-shot": Way("sparse"),
    "gradual": Way("sparse", {"schedule": "gradual"}),
    "obs": Way("obs", trains=False),
    "gradual, LAMP": Way("sparse", {"schedule": "gradual", "spread": "lamp"}),
    "balanced (ours)": Way("dynamic", {"rule": "balanced"}),
    "shrink": Way("dynamic", {"rule": "shrink"}),
    "regrow": Way("dynamic", {"rule": "regrow"}),
    "one-shot, LAMP": Way("sparse", {"spread": "lamp"}),
    "surgery": Way("dynamic", {"rule": "surgery"}),
    "hard": Way("dynamic", {"rule": "hard"}),
    "iterative": Way("sparse", {"rounds": 3}),
    "iterative, rewound": Way("sparse", {"rounds": 3, "rewind": True}),
    "dense, with flips and turns": Way(augment=True),
    "dense, taught": Way(teacher=1.0),
    "balanced, calibrated start, taught": Way(
        "dynamic", {"rule": "balanced", "start": "calibrated", "teacher": 1.0}
    ),
    "one-shot, LAMP, taught": Way("sparse", {"spread": "lamp", "teacher": 1.0}),
    "dense, untrained": Way(after=False),
    "obs, untrained": Way("obs", trains=False, after=False),
    "one-shot, untrained": Way("sparse", trains=False, after=False),
    "one-shot, LAMP, untrained": Way("sparse", {"spread": "lamp"}, trains=False, after=False),
}
"""The dense network has one cell per seed; trained as long as the others. Untrained ones take none of the steps."""
