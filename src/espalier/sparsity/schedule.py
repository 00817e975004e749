"""How sparsity rises over steps."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Cubic:
    """From `first` to `last` over `ramp` steps, fast at first (Zhu and Gupta, 2017, equation 1)."""

    last: float
    ramp: int
    first: float = 0.0

    def at(self, step: int) -> float:
        """The sparsity after `step` steps; `last` from `ramp` on."""
        if step >= self.ramp:
            return self.last
        return self.last + (self.first - self.last) * (1 - step / self.ramp) ** 3
