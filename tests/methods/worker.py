"""One worker of distributed runs of every method that learns: writes what each chose, and its weights."""

import sys
from dataclasses import replace
from pathlib import Path
from unittest.mock import patch

import torch

from espalier.methods import job as jobs
from espalier.methods.calibrated import material
from espalier.training.distributed import joined
from tests import zoo
from tests.methods.jobs import LEARNED, SMALL, Trainer, job


def run(method: str, batch: int, lr: float) -> dict[str, torch.Tensor]:
    """The channels that stay of every group, and the weights."""
    entry = zoo.find("edsr")
    asked = job(method, entry, options=LEARNED[method])
    trainer = Trainer(asked.network, batch=batch, patch=12, lr=lr)
    with patch.multiple(material, **SMALL):
        pruned = jobs.method(method)(replace(asked, train=trainer, score=trainer.score))
    choices = {f"kept {c.group}": torch.tensor(c.kept) for c in pruned.plans[0].choices}
    return choices | pruned.state_dict()


if __name__ == "__main__":
    torch.set_num_threads(1)
    with joined() as workers:
        for method in LEARNED:
            torch.save(run(method, 2, 1e-3), Path(sys.argv[1]) / f"{method}-{workers.rank}.pt")
