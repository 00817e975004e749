"""What the dynamic methods can be told."""

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field


class Options(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)

    rule: Literal["balanced", "hard", "shrink", "surgery", "regrow"] = "balanced"
    """How masks are decided; see the card."""
    start: Literal["dense", "calibrated"] = "dense"
    """Begin with all weights, or (at once at the full sparsity) with what the method obs finds and refits."""
    spread: Literal["global", "layer", "lamp", "erk"] = "global"
    """How sparsity is spread over layers; balanced has its own way."""
    steps: int = Field(default=1000, ge=1)
    """Of training, search and settling together."""
    ramp: float = Field(default=0.5, ge=0, le=1)
    """Share of the steps over which sparsity rises; 0 prunes at once."""
    until: float = Field(default=0.8, gt=0, le=1)
    """Share of the steps after which masks stay."""
    every: int | None = Field(default=None, ge=1)
    """Steps between two decisions; by default 1 for hard and shrink, 2 for balanced, 10 for the others."""
    rewind: float = Field(default=0.0, ge=0, lt=1)
    """Share of the steps, the last ones, that begin again under the masks found: dense weights, refitted by obs."""
    lr: float | None = Field(default=None, gt=0)
    """Learning rate; by default the run's."""
    teacher: float = Field(default=0.0, ge=0)
    """Weight of the distance to the dense network's output."""
    scratch: bool = False
    """Begin with fresh weights instead of the trained ones."""
    dense_steps: int = Field(default=0, ge=0)
    """Train all weights again afterwards (dense-sparse-dense): the result is dense and the budget is not kept."""
    dense_lr: float | None = Field(default=None, gt=0)
    """Learning rate of these steps; by default that of the search."""
    decay: float | None = Field(default=None, gt=0, le=1)
    """What pruned weights are multiplied by each step; by default 0.95 for shrink, 1 for balanced."""
    band: float | None = Field(default=None, ge=0)
    """How much larger than a kept weight a pruned one must be to come back; by default 0.1 for surgery, else 0."""
    fade: float = Field(default=0.001, ge=0)
    """How fast decisions become rare: they happen with (1 + fade * step) ** -1 (surgery)."""
    swap: float = Field(default=0.3, gt=0, lt=1)
    """Share of kept weights exchanged at first, falling to none along a cosine (regrow)."""
    floor: float = Field(default=0.2, ge=0, le=1)
    """Every layer keeps at least this share of the mean density (balanced)."""
    revival: float = Field(default=1.0, ge=0)
    """Size of the steps of pruned weights relative to kept ones in the same layer; 0: as they come (balanced)."""

    @property
    def rewound(self) -> int:
        """Steps after rewinding."""
        return min(round(self.rewind * self.steps), self.steps - 1)

    @property
    def searched(self) -> int:
        """Steps of the search."""
        return self.steps - self.rewound
