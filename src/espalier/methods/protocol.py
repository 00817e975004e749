"""What a method may do to training. The loop and the methods know this file, and not each other."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from torch import Tensor, nn

from espalier.plan import PrunePlan


@dataclass(frozen=True)
class Context:
    """What a method is given once, before the first step."""

    network: nn.Module
    """The network itself, never a wrapper; `start` may add parameters and parametrisations to it."""
    steps: int
    """The step after which training ends (the first is 0)."""
    seed: int
    rank: int
    workers: int
    average: Callable[[Iterable[Tensor]], None]
    """Replace tensors by their mean over all workers, in place: for gradients and statistics of its own."""
    ema: nn.Module | None = None
    """The running mean of the network, made after `start`; none while `start` runs, or where none is kept."""


@dataclass(frozen=True)
class Batch:
    """What one forward pass saw and gave; images are (N, 3, H, W) RGB in 0..1."""

    step: int
    lr: Tensor
    hr: Tensor
    output: Tensor
    teacher: Tensor | None = None
    """The teacher's output, without gradient."""


class Method(Protocol):
    """The hooks, in the order in which they are called; inherit from `Idle` to write only some of them.

    A random choice should use torch's global generator, which the loop seeds anew at every step, or one
    seeded by `(seed, step)`, so that a resumed run repeats it. All other memory belongs into `state_dict`.
    """

    def start(self, context: Context) -> None:
        """Before the optimizer is made, also when resuming: change the network's form, always alike."""
        ...

    def parameters(self) -> Iterable[nn.Parameter]:
        """Parameters outside the network that the loop's optimizer trains too (adapters, scales)."""
        ...

    def ready(self, context: Context) -> None:
        """After optimizer, EMA and a resumed state are in place, before the first step."""
        ...

    def before_step(self, step: int) -> None:
        """Before the forward pass: rewrite weights, change penalties."""
        ...

    def losses(self, batch: Batch) -> Mapping[str, Tensor]:
        """Weighted terms that are added to the loss, by the name under which they are logged."""
        ...

    def after_backward(self, step: int) -> None:
        """Gradients are whole: averaged over workers, unscaled, not yet clipped; add the penalty's here."""
        ...

    def after_step(self, step: int) -> PrunePlan | None:
        """The weights have moved: mask them, step a second network. The loop carries a plan out at once."""
        ...

    def done(self, step: int) -> bool:
        """Whether training may end after this step."""
        ...

    def finish(self) -> None:
        """After the last step, the EMA already in the network: fold and remove what `start` put in."""
        ...

    def facts(self) -> Mapping[str, float]:
        """Numbers for the log and the progress bar."""
        ...

    def state_dict(self) -> dict[str, Any]:
        """Tensors, numbers, strings, lists and dicts of them; nothing else is read back."""
        ...

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Called after `start` and before `ready`."""
        ...


class Idle:
    """Does nothing at any hook: what plain training uses, and the base to write methods on."""

    def start(self, context: Context) -> None:
        del context

    def parameters(self) -> Iterable[nn.Parameter]:
        return ()

    def ready(self, context: Context) -> None:
        del context

    def before_step(self, step: int) -> None:
        del step

    def losses(self, batch: Batch) -> Mapping[str, Tensor]:
        del batch
        return {}

    def after_backward(self, step: int) -> None:
        del step

    def after_step(self, step: int) -> PrunePlan | None:
        del step
        return None

    def done(self, step: int) -> bool:
        del step
        return False

    def finish(self) -> None:
        pass

    def facts(self) -> Mapping[str, float]:
        return {}

    def state_dict(self) -> dict[str, Any]:
        return {}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        del state
