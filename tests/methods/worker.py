"""One worker of a distributed run of ASSL: aligns, chooses, presses, and writes what it chose and its weights."""

import sys
from pathlib import Path

import torch

from espalier import training
from espalier.methods.assl.alignment import Aligned
from espalier.methods.growing import Decay
from espalier.methods.pace import Pace
from espalier.training.distributed import joined
from tests import zoo
from tests.methods.jobs import images

AT = Pace(align=4, grow=6, hold=0, interval=1, delta=0.02, ceiling=0.1, press=Decay())


def run(batch: int, lr: float) -> dict[str, torch.Tensor]:
    """Masks, penalties and weights after training."""
    entry = zoo.find("edsr")
    network, groups = zoo.network(entry), zoo.channels(entry).prunable
    method = Aligned(
        groups, {group.name: 5 for group in groups}, AT, weight=1e5
    )  # so that it decides who goes
    settings = training.TrainSettings(steps=AT.steps, batch=batch, patch=12, lr=lr, schedule="constant")
    training.fit(network, images(2), settings, method=method, progress=False)
    masks = {f"going {name}": value for name, value in method.going.items()}
    return masks | {f"penalty {k}": v for k, v in method.penalties.items()} | network.state_dict()


if __name__ == "__main__":
    torch.set_num_threads(1)
    with joined() as workers:
        torch.save(run(batch=2, lr=1e-2), Path(sys.argv[1]) / f"{workers.rank}.pt")
