"""One worker of a distributed search for masks: writes masks and weights."""

import sys
from pathlib import Path

import torch

from espalier import training
from espalier.methods.dynamic.options import Options
from espalier.methods.dynamic.rules import RULES, timing
from espalier.methods.masking import Search
from espalier.sparsity import weights
from espalier.training.distributed import joined
from tests import zoo
from tests.methods.jobs import images

STEPS = 12


def run(rule: str, batch: int, lr: float) -> dict[str, torch.Tensor]:
    network = zoo.network(zoo.find("edsr"))
    options = Options(rule=rule, steps=STEPS, every=2)  # type: ignore[arg-type]
    masks = {name: torch.ones_like(w, dtype=torch.bool) for name, w in weights(network).items()}
    search = Search(masks, RULES[rule](options), timing(options, 0.8))
    settings = training.TrainSettings(steps=STEPS, batch=batch, patch=12, lr=lr, schedule="constant", ema=0.9)
    training.fit(network, images(2), settings, method=search, progress=False)
    return {f"mask {name}": mask for name, mask in search.masks.items()} | network.state_dict()


if __name__ == "__main__":
    torch.set_num_threads(1)
    with joined() as workers:
        for rule in RULES:
            torch.save(run(rule, 2, 1e-2), Path(sys.argv[1]) / f"{rule}-{workers.rank}.pt")
