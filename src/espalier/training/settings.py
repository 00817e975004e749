"""How long, how fast and on what a network is trained."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from espalier.training.errors import TrainingError


@dataclass(frozen=True)
class TrainSettings:
    """Plain values; recipes make them from their config models."""

    steps: int = 500
    batch: int = 16
    """Patches per worker in one forward pass."""
    patch: int = 48
    """Height and width of the LR patches."""
    augment: bool = True
    losses: Mapping[str, float] = field(default_factory=lambda: {"l1": 1.0})
    """Weights by name; "teacher" and "teacher-NAME" compare with the teacher's output."""
    loss_options: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    optimizer: Literal["adam", "adamw", "soap"] = "adam"
    lr: float = 2e-4
    """Learning rate of one worker; with several it is multiplied by their number, see `scale_lr`."""
    betas: tuple[float, float] = (0.9, 0.999)
    weight_decay: float = 0.0
    schedule: Literal["constant", "cosine", "step", "plateau"] = "cosine"
    warmup: int = 0
    """Steps over which the learning rate rises linearly."""
    lr_end: float = 0.01
    """Where the cosine ends, as a share of `lr`."""
    drop: float = 0.5
    """What "step" and "plateau" multiply the rate by."""
    drop_every: int = 200_000
    """Steps between two drops of "step"."""
    patience: int = 5
    """Validations without a better result before "plateau" drops."""
    clip: float | None = None
    """Largest norm of all gradients together."""
    accumulate: int = 1
    """Forward passes per step."""
    ema: float = 0.0
    """Decay per step of the running mean of the weights; 0 keeps none."""
    precision: Literal["fp32", "bf16", "fp16"] = "fp32"
    channels_last: bool = True
    compile: Literal["none", "default", "reduce-overhead", "max-autotune"] = "none"
    """Mode of torch.compile; "reduce-overhead" uses CUDA graphs."""
    sync_batchnorm: bool = False
    """Normalise over the batches of all workers."""
    scale_lr: bool = True
    seed: int = 0
    validate_every: int = 1000
    save_every: int = 1000
    log_every: int = 100

    def __post_init__(self) -> None:
        counts = ("batch", "patch", "accumulate", "drop_every", "validate_every", "save_every", "log_every")
        for name in counts:
            if getattr(self, name) < 1:
                raise TrainingError(f"{name} is {getattr(self, name)}; expected a whole number from 1 up")
        if self.steps < 0 or not self.lr > 0 or not 0 <= self.ema < 1:
            raise TrainingError(
                f"steps={self.steps}, lr={self.lr}, ema={self.ema}: expected steps >= 0, lr > 0, 0 <= ema < 1"
            )
        if self.compile != "none" and self.sync_batchnorm:
            raise TrainingError(
                f"compile={self.compile!r} and sync_batchnorm=True do not go together: compiled networks cannot"
                " exchange statistics; give one of them up"
            )
