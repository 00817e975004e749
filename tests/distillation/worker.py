"""One worker of a distributed distillation, as torchrun starts it: student, teacher, features, and an adversary."""

import sys
from pathlib import Path

import torch
from torch import Tensor, nn

from espalier.data import pack
from espalier.distillation.adversary import Adversary, AdversarySettings
from espalier.distillation.features import Inside
from espalier.distillation.matching import pairs
from espalier.methods.together import Together
from espalier.networks.load import load
from espalier.networks.network import Network
from espalier.training import TrainSettings, fit
from espalier.training.distributed import joined

RATE = 1e-3
STEPS = {"vanilla": 12, "relativistic": 1, "hinge": 12}
"""Where only differences of verdicts count, biases learn from rounding, and after two steps all learn from them."""
GAMES = {
    "vanilla": AdversarySettings(weight=0.05, options={"channels": 4}, warmup=2),
    "relativistic": AdversarySettings(
        weight=0.05, kind="relativistic", options={"channels": 4, "norm": "spectral"}, r1=1.0, r1_every=3
    ),
    "hinge": AdversarySettings(
        weight=0.05, kind="hinge", discriminator="unet", options={"channels": 4}, betas=(0.0, 0.9)
    ),
}


def network(seed: int, channels: int) -> Network:
    torch.manual_seed(seed)
    return load(f"srresnet(scale=2, blocks=2, channels={channels}, kernel=3)")


def train(folder: Path, game: str, batch: int, run: Path | None = None) -> dict[str, dict[str, Tensor]]:
    """States of student, discriminator and adapters."""
    student, teacher = network(1, 6), network(2, 8).eval()
    for name, parameter in student.body.named_parameters():
        # BatchNorm takes these biases out again: their gradients are noise, which Adam makes large.
        parameter.requires_grad_(not name.endswith(("conv1.bias", "conv2.bias", "fuse.0.bias")))
    settings = TrainSettings(
        steps=STEPS[game], batch=batch, patch=8, lr=RATE, scale_lr=False, ema=0.9, sync_batchnorm=True,
        save_every=5,
    )  # fmt: skip
    weights = {"features": 0.1, "attention": 0.1, "affinity": 0.1}
    inside = Inside(teacher, pairs(student.body, teacher.body), weights)
    adversary = Adversary(GAMES[game], lambda _step: RATE)
    images = pack(folder, 2, cache=folder / "cache")
    method = Together(inside, adversary)
    fit(
        student,
        images,
        settings,
        teacher=teacher,
        method=method,
        run=run,
        resume=run is not None,
        progress=False,
    )
    parts: dict[str, nn.Module] = {"student": student, "judge": adversary.judge, "adapters": inside.adapters}
    return {name: dict(part.state_dict()) for name, part in parts.items()}


if __name__ == "__main__":
    torch.set_num_threads(1)
    with joined() as workers:
        folder, out, game = Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3]
        state = train(folder, game, 8 // workers.count, out / "run")
        torch.save(state, out / f"{workers.rank}.pt")
