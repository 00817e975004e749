"""N:M sparsity: of every M consecutive inputs N stay, as sparse tensor cores want it (Mishra et al., 2021)."""

import re
from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from espalier.errors import PlanError


@dataclass(frozen=True)
class Pattern:
    """`kept` of every `of` weights along the inputs, at each output and kernel tap."""

    kept: int
    of: int

    @staticmethod
    def parse(text: str) -> "Pattern":
        """Read "2:4".

        Raises:
            PlanError: anything else.
        """
        found = re.fullmatch(r"\s*(\d+)\s*:\s*(\d+)\s*", text)
        if found is None or not 0 < int(found[1]) < int(found[2]):
            raise PlanError(f"cannot read the pattern {text!r}; expected such as 2:4 (two of four stay)")
        return Pattern(int(found[1]), int(found[2]))

    @property
    def sparsity(self) -> float:
        return 1 - self.kept / self.of

    def mask(self, scores: Tensor, axis: int = 1) -> Tensor:
        """A mask of the shape of `scores` that keeps the highest of every `of` along `axis`, which they must divide."""
        rows = scores.detach().movedim(axis, -1)
        parts = rows.unflatten(-1, (-1, self.of))
        ranks = torch.argsort(parts, dim=-1, descending=True, stable=True).argsort(-1)
        return (ranks < self.kept).flatten(-2).movedim(-1, axis)

    def fits(self, module: nn.Module) -> bool:
        """Whether a layer's inputs come in whole groups; others stay dense."""
        weight = getattr(module, "weight", None)
        return isinstance(weight, Tensor) and weight.shape[input_axis(module)] % self.of == 0

    def masks(self, body: nn.Module, scores: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Masks for the weights named by `scores` where the pattern fits."""
        modules = {name: body.get_submodule(name.rpartition(".")[0]) for name in scores}
        return {
            name: self.mask(score, input_axis(modules[name]))
            for name, score in scores.items()
            if self.fits(modules[name])
        }

    def __str__(self) -> str:
        return f"{self.kept}:{self.of}"


def input_axis(module: nn.Module) -> int:
    """The axis of a layer's weight over which it sums."""
    return 0 if isinstance(module, nn.modules.conv._ConvTransposeNd) else 1


def holds(mask: Tensor, pattern: Pattern, axis: int = 1) -> bool:
    """Whether every group keeps exactly as many as the pattern says."""
    counts = mask.movedim(axis, -1).unflatten(-1, (-1, pattern.of)).sum(-1)
    return bool(torch.all(counts == pattern.kept))
