"""One worker of a distributed run, as torchrun starts it: trains, is cut once, and writes the weights."""

import os
import sys
from pathlib import Path

import torch
from torch import nn

from espalier.data import pack
from espalier.methods.protocol import Idle
from espalier.plan import Cut, PrunePlan
from espalier.training import TrainSettings, fit
from espalier.training.distributed import current, joined

KEPT = (0, 2, 3, 7)
PLAN = PrunePlan((Cut("0.weight", 0, 8, KEPT), Cut("0.bias", 0, 8, KEPT), Cut("2.weight", 1, 8, KEPT)))


class Surgeon(Idle):
    """Cuts half the channels after 25 steps; dies once after 34 where a file to mark it is named."""

    def __init__(self, mark: Path | None = None) -> None:
        self.mark = mark

    def after_step(self, step: int) -> PrunePlan | None:
        if step == 33 and self.mark is not None and current().rank == 1 and not self.mark.exists():
            self.mark.touch()
            os._exit(9)
        return PLAN if step == 24 else None


def settings(batch: int, lr: float, steps: int = 50, **more: int) -> TrainSettings:
    return TrainSettings(
        steps=steps, batch=batch, patch=6, lr=lr, ema=0.9, warmup=5, validate_every=20, **more
    )


def network() -> nn.Module:
    torch.manual_seed(1)
    return nn.Sequential(
        nn.Conv2d(3, 8, 3, padding=1), nn.ReLU(), nn.Conv2d(8, 12, 3, padding=1), nn.PixelShuffle(2)
    )


def train(
    folder: Path,
    settings: TrainSettings,
    run: Path | None = None,
    resume: bool = False,
    mark: Path | None = None,
) -> nn.Module:
    trained, method = network(), Surgeon(mark)
    images = pack(folder, 2, cache=folder / "cache")
    ranks: list[int] = []

    def validate(_network: nn.Module) -> dict[str, float]:
        ranks.append(current().rank)
        return {"psnr": float(len(ranks))}

    history = fit(
        trained,
        images,
        settings,
        method=method,
        validate=validate,
        run=run,
        resume=resume,
        progress=False,
    )
    assert set(ranks) <= {0}
    assert [p.scores["psnr"] for p in history.points if p.scores]
    return trained


if __name__ == "__main__":
    torch.set_num_threads(1)
    with joined() as workers:
        folder, out = Path(sys.argv[1]), Path(sys.argv[2])
        mark = out / "died" if "--die" in sys.argv else None
        trained = train(
            folder, settings(batch=8, lr=1e-3, save_every=10), out / "run", resume=True, mark=mark
        )
        torch.save(trained.state_dict(), out / f"{workers.rank}.pt")
