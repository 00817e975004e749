"""Self-ensemble: the mean over the eight flips and turns of an image (Timofte et al., CVPR 2016)."""

from collections.abc import Callable

from torch import Tensor


def self_ensemble(run: Callable[[Tensor], Tensor], image: Tensor) -> Tensor:
    """Run on the eight symmetries of `image` (N, C, H, W), turn the results back and take their mean."""
    total: Tensor | None = None
    for flips in ((), (2,), (3,), (2, 3)):
        flipped = image.flip(flips)
        for transposed in (False, True):
            out = run(flipped.mT.contiguous()).mT if transposed else run(flipped)
            out = out.flip(flips)
            total = out if total is None else total + out
    assert total is not None
    return total / 8
