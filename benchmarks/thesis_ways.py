"""What benchmarks/thesis.py compares: ways to a smaller network, the networks, and how long all is trained."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal


@dataclass(frozen=True)
class Way:
    """How a smaller network is come by; what learns spends a part of the steps before recovery."""

    folder: str
    """The method's folder; "scratch" for fresh weights."""
    shares: Mapping[str, float] = field(default_factory=dict)
    """Options of the method that are numbers of steps, as shares of all steps."""
    told: Mapping[str, Any] = field(default_factory=dict)
    """Its other options."""
    times: Mapping[str, float] = field(default_factory=dict)
    """How often an option's steps are spent, where not once; a part where one counts as less than a training step."""
    recovery: Literal["adam", "soap"] = "adam"

    def options(self, steps: int) -> dict[str, Any]:
        return {**self.told, **{name: round(steps * share) for name, share in self.shares.items()}}

    def learned(self, steps: int) -> int:
        """Training steps before recovery."""
        given = self.options(steps)
        return round(sum(given[name] * self.times.get(name, 1) for name in self.shares))


def stepwise(rounds: int, learn: str) -> Way:
    """Half of the steps learn sparsity, half fine-tune, the same number in every round; recovery is the last."""
    part = 0.5 / rounds
    return Way(
        "stepwise",
        {"learn_steps": part, "steps": part},
        {"rounds": rounds, "learn": learn},
        {"learn_steps": rounds, "steps": rounds - 1},
    )


PATCHES = 8
"""Patches of polishing, one in each of its steps, that count as a training step."""
POLISHING = {"polish": 1 / PATCHES}
"""How much of a training step a step of polishing counts as."""
WAYS = {
    "scratch": Way("scratch"),
    "calibrated": Way("calibrated", told={"polish": 0}),
    "calibrated-polished": Way("calibrated", {"polish": 0.4 * PATCHES}, times=POLISHING),
    "calibrated-soap": Way("calibrated", {"polish": 0.4 * PATCHES}, times=POLISHING, recovery="soap"),
    "greg": Way("greg", {"steps": 0.5}),
    "stepwise-4": stepwise(4, "group_sparse"),
    "guided": Way("guided", {"steps": 1 / 6}, {"rounds": 2}),
    "guided-polished": Way(
        "guided", {"steps": 1 / 6, "polish": 0.2 * PATCHES}, {"rounds": 2, "optimizer": "soap"}, POLISHING
    ),
    "group_sparse": Way("group_sparse", {"steps": 0.5}),
    "stepwise-8": stepwise(8, "group_sparse"),
    "stepwise-4-growing": stepwise(4, "growing"),
    "l2": Way("magnitude"),
}
OURS = ("calibrated", "guided")


@dataclass(frozen=True)
class Dense:
    """A network, how long it is trained before anything is cut, and the shares of its channels that go."""

    reference: str
    steps: int
    warmup: int
    ratios: tuple[float, ...]


@dataclass(frozen=True)
class Preset:
    """What a cell trains, and for how long."""

    networks: Mapping[str, Dense]
    steps: int
    """Of every cell in all, the method's own included."""
    batch: int
    patch: int
    lr: float
    train: tuple[str, ...]
    sets: tuple[str, ...]
    scale: int = 2


SWINIR = (
    "spandrel.SwinIR(embed_dim={width}, depths={depths}, num_heads={heads}, window_size=8, mlp_ratio=2, "
    "upscale=2, img_size={size}, img_range=1.0, upsampler='{upsampler}')"
)
PRESETS = {
    "small": Preset(
        {
            "DRLN": Dense("drln(scale=2, channels=24, cascades=[2])", 1000, 50, (0.68, 0.9)),
            "SwinIR": Dense(
                SWINIR.format(width=32, depths=[2] * 2, heads=[2] * 2, size=32, upsampler="pixelshuffledirect"),
                1600, 150, (0.75, 0.9),
            ),
        },
        steps=300, batch=4, patch=24, lr=5e-4, train=("T91", "BSDS500/train"), sets=("Set5",),
    ),
    "full": Preset(
        {
            "DRLN": Dense("drln(scale=2)", 300_000, 1000, (0.68, 0.9)),
            "SwinIR": Dense(
                SWINIR.format(width=180, depths=[6] * 6, heads=[6] * 6, size=64, upsampler="pixelshuffle"),
                300_000, 1000, (0.72, 0.9),
            ),
        },
        steps=200_000, batch=16, patch=64, lr=1e-4, train=("T91", "BSDS500/train", "BSDS500/test"),
        sets=("Set5", "Set14", "BSD100"),
    ),
}  # fmt: skip
