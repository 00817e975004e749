"""Config models: what a person may write in YAML or as flags, checked before anything starts."""

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError, field_validator

from espalier.data import PackedImages, Patches
from espalier.data.degradations import find
from espalier.data.patches import Degradation
from espalier.losses import option_types, parse
from espalier.training.settings import TrainSettings


class TrainConfig(BaseModel):
    """How a network is trained."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)

    steps: int = Field(default=500, ge=0)
    """Optimizer steps."""
    batch: int = Field(default=16, ge=1)
    """Patches per worker in one forward pass."""
    patch: int = Field(default=48, ge=1)
    """Height and width of the low-resolution patches."""
    augment: bool = True
    """Flip and turn the patches."""
    losses: str = "l1=1"
    """Losses and their weights, as "l1=1,frequency=0.05"; "teacher" compares with the teacher's output."""
    loss_options: dict[str, dict[str, Any]] = {}
    """Options of the losses by name, as --loss-options.charbonnier.eps 0.01."""
    degradation: Literal["bicubic", "classic", "second-order"] = "bicubic"
    """What makes LR patches: the set's own LR images, one round of blur, noise and JPEG, or two rounds."""
    optimizer: Literal["adam", "adamw", "soap"] = "adam"
    """How gradients move the weights; with soap the learning rate is a share of each tensor's size: 4e-3 suits."""
    lr: float = Field(default=2e-4, gt=0)
    """Learning rate of one worker; with several it is multiplied by their number."""
    betas: tuple[float, float] = (0.9, 0.999)
    """Adam's two decays."""
    weight_decay: float = Field(default=0.0, ge=0)
    """Weight decay."""
    schedule: Literal["constant", "cosine", "step", "plateau"] = "cosine"
    """How the learning rate falls."""
    warmup: int = Field(default=0, ge=0)
    """Steps over which the learning rate rises linearly."""
    lr_end: float = Field(default=0.01, ge=0, le=1)
    """Where the cosine ends, as a share of the learning rate."""
    drop: float = Field(default=0.5, gt=0, le=1)
    """What "step" and "plateau" multiply the learning rate by."""
    drop_every: int = Field(default=200_000, ge=1)
    """Steps between two drops of "step"."""
    patience: int = Field(default=5, ge=0)
    """Validations without a better result before "plateau" drops."""
    clip: float | None = Field(default=None, gt=0)
    """Largest norm of all gradients together."""
    accumulate: int = Field(default=1, ge=1)
    """Forward passes per step."""
    ema: float = Field(default=0.0, ge=0, lt=1)
    """Decay per step of the running mean of the weights; 0 keeps none."""
    precision: Literal["fp32", "bf16", "fp16"] = "fp32"
    """Arithmetic of the forward and backward passes; the weights stay fp32."""
    channels_last: bool = True
    """Memory layout that is faster on most processors."""
    compile: Literal["none", "default", "reduce-overhead", "max-autotune"] = "none"
    """Compile the network with torch.compile in this mode; "reduce-overhead" uses CUDA graphs."""
    sync_batchnorm: bool = False
    """Normalise batches over all workers."""
    scale_lr: bool = True
    """Multiply the learning rate by the number of workers."""
    seed: int = Field(default=0, ge=0)
    """Seed of weights, patches and everything else."""
    validate_every: int = Field(default=1000, ge=1)
    """Steps between two validations."""
    save_every: int = Field(default=1000, ge=1)
    """Steps between two checkpoints."""
    log_every: int = Field(default=100, ge=1)
    """Steps between two lines of the log."""

    @field_validator("loss_options")
    @classmethod
    def _options(cls, given: dict[str, dict[str, Any]]) -> dict[str, dict[str, Any]]:
        """Flags give text, and so does YAML for 1e-6: each becomes what the loss takes."""
        return {loss: _typed(loss, options) for loss, options in given.items()}

    def settings(self) -> TrainSettings:
        """The same for the training loop."""
        plain = self.model_dump(exclude={"degradation", "losses"})
        return TrainSettings(**plain, losses=parse(self.losses))

    def patches(self, images: PackedImages) -> Patches:
        """The patches to train on."""
        return Patches(images, self.patch, self.seed, self.augment, self.degrade())

    def degrade(self) -> Degradation | None:
        """How LR patches are made from HR patches; none takes the set's own."""
        return None if self.degradation == "bicubic" else find(self.degradation)


def _typed(loss: str, options: dict[str, Any]) -> dict[str, Any]:
    types, typed = option_types(loss), {}
    for name, value in options.items():
        try:
            typed[name] = TypeAdapter(types.get(name, Any)).validate_python(value)
        except ValidationError as error:
            raise ValueError(f"{loss}.{name} is {value!r}: {error.errors()[0]['msg'].lower()}") from None
    return typed
