"""SRGAN-G as teacher: students 40 % smaller, then 18 % fewer weights, beside students that learn alone.

python benchmarks/distillation.py                 # all rows that are missing, one after another
python benchmarks/distillation.py --rows distilled --steps 20000 --results long.json
python benchmarks/distillation.py --tables        # docs/distillation.md from the results

Every row is written to benchmarks/results/distillation.json when it is measured, and its training goes on from its
last checkpoint in --runs. All rows take the same number of steps with the same patches.
"""

import argparse
import dataclasses
import json
import statistics
import time
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from distillation_tables import write_tables

from espalier import evaluation
from espalier.costs import count
from espalier.data import pack
from espalier.distillation.thinning import at_once, keep, thinning
from espalier.files import write_text
from espalier.networks.file import save
from espalier.networks.load import load
from espalier.networks.network import Network
from espalier.recipes.distill import teach
from espalier.recipes.opening import opened
from espalier.recipes.run import environment
from espalier.recipes.sets import Material
from espalier.recipes.students import made, pruned
from espalier.recipes.teaching import DistillConfig, GanConfig
from espalier.sparsity import size

FOLDER = Path(__file__).parent
DATA = FOLDER.parents[1] / "shared" / "data"
WEIGHTS = "weights/SRGAN-G/netG_epoch_4_100.pth"
SETS = ("Set5", "Set14", "BSD100")
HELD_OUT = 6
TIMED = (45, 80)
"""Height and width of the LR image that time is measured on."""
SHARE = 0.18
FRESH = "srresnet(scale=4, blocks=1, channels=64, fuse='prelu', output='tanh', kernel=9)"


@dataclass(frozen=True)
class Row:
    """One network: where it begins, and what it learns from."""

    begins: str
    """A student as for `espalier distill --student`; "fresh" for the same with random weights; or a row's name."""
    losses: str = "l1=1"
    """Empty for a row that is not trained."""
    lr: float = 2e-4
    teacher: str = "teacher"
    """The row that teaches."""
    prune: str = ""
    """How a further 18 % go: "global", "layer" or "structured"."""


INSIDE = "l1=1,teacher=1,features=0.05"
TAUGHT = "l1=1,teacher=1"
PUBLISHED = "l1=1,mse=1,teacher=1,teacher-mse=1,gan=0.001"
ROWS = {
    "teacher": Row("", ""),
    "alone": Row("fresh"),
    "distilled": Row("blocks=1", INSIDE),
    "calibrated": Row("pruned:params=0.6", ""),
    "calibrated, distilled": Row("calibrated", INSIDE),
    "calibrated, distilled, zeroed": Row("calibrated, distilled", "", prune="global"),
    "calibrated, distilled, pruned by layer": Row("calibrated, distilled", INSIDE, prune="layer"),
    "calibrated, distilled, pruned faster": Row("calibrated, distilled", INSIDE, 5e-4, prune="global"),
    "distilled, pruned": Row("distilled", INSIDE, prune="global"),
    "calibrated, L1 alone": Row("calibrated"),
    "initialised, L1 alone": Row("blocks=1"),
    "calibrated, distilled, pruned": Row("calibrated, distilled", INSIDE, prune="global"),
    "calibrated, distilled, cut": Row("calibrated, distilled", INSIDE, prune="structured"),
    "teacher, trained on": Row("blocks=5"),
    "distilled, published losses": Row("blocks=1", PUBLISHED),
    "calibrated, from the teacher trained on": Row("calibrated", TAUGHT, teacher="teacher, trained on"),
    "the same, pruned by layer": Row(
        "calibrated, from the teacher trained on", TAUGHT, teacher="teacher, trained on", prune="layer"
    ),
}


@dataclass(frozen=True)
class Bench:
    """What all rows share."""

    train: DistillConfig
    runs: Path
    results: Path
    teacher: Network
    images: Material

    def network(self, name: str) -> Network:
        """What a row made."""
        return self.teacher if name == "teacher" else load(self.file(name))

    def file(self, name: str) -> Path:
        return self.runs / name.replace(", ", "-").replace(" ", "_") / "network.safetensors"

    def rows(self) -> dict[str, Any]:
        if not self.results.exists():
            return {}
        return json.loads(self.results.read_text(encoding="utf-8"))["rows"]

    def write(self, name: str, row: dict[str, Any]) -> None:
        shared = {
            "environment": environment(),
            "training": self.train.model_dump(mode="json"),
            "share": SHARE,
        }
        rows = self.rows() | {name: row}
        ordered = {name: rows[name] for name in ROWS if name in rows}
        write_text(self.results, json.dumps({**shared, "rows": ordered}, indent=1) + "\n")
        print(name, {key: value for key, value in row.items() if key != "row"}, flush=True)


def trained(bench: Bench, name: str, row: Row) -> tuple[Network, dict[str, Any]]:
    """The row's network, and how it started."""
    run, teacher = bench.file(name).parent, bench.network(row.teacher)
    student = begun(bench, row)
    if not row.losses:
        if row.prune:
            at_once(student, SHARE, row.prune)
        save(student, bench.file(name))
        return student, {}
    steps = bench.train.steps // 2 if row.prune else bench.train.steps  # as compress-gan does
    train = bench.train.model_copy(update={"losses": row.losses, "lr": row.lr, "steps": steps})
    start = quality(student, ("Set5",))["Set5"]
    methods = ()
    if row.prune and row.prune != "structured":
        methods = (thinning(student, SHARE, row.prune, steps=train.steps, rounds=6),)
    teach(student, teacher, bench.images, train, run, resume=True, meanwhile=methods)
    for method in methods:
        keep(student, method)
    save(student, bench.file(name))
    return student, {"start": start}


def begun(bench: Bench, row: Row) -> Network:
    """The network as training finds it; made once, so that an interrupted row goes on with the same."""
    torch.manual_seed(bench.train.seed)
    if row.begins == "fresh":
        return opened(FRESH)
    if row.begins not in ROWS:
        return made(row.begins, bench.teacher, bench.images.train, bench.train.seed)
    student = bench.network(row.begins)
    if row.prune == "structured":
        return pruned(student, f"params={1 - SHARE}", bench.images.train, bench.train.seed)
    return student


def quality(network: Network, sets: tuple[str, ...]) -> dict[str, dict[str, float]]:
    return {
        name: evaluation.evaluate(network.eval(), DATA / "sets" / name).to_dict()["mean"] for name in sets
    }


def measured(bench: Bench, name: str) -> None:
    row, began = ROWS[name], time.process_time()
    network, facts = (bench.teacher, {}) if name == "teacher" else trained(bench, name, row)
    seconds = time.process_time() - began
    cost, stored = count(network), size(network)
    bench.write(name, {
        "row": dataclasses.asdict(row), **facts, "quality": quality(network, SETS), "params": cost.params,
        "nonzero": stored.nonzero, "bytes": stored.bytes, "macs": cost.macs, "seconds": round(seconds),
    })  # fmt: skip


@torch.no_grad()
def timed(bench: Bench, rounds: int = 15) -> None:
    """Processor time of all networks in turn, as a share of the teacher's: nearly deaf to other work.

    Rows that are the same network but for its weights share one time, the median of all of theirs.
    """
    rows, image = bench.rows(), torch.rand(1, 3, *TIMED)
    networks = {name: bench.network(name).eval() for name in rows}
    seconds: dict[str, list[float]] = {name: [] for name in networks}
    for _ in range(rounds + 1):
        for name, network in networks.items():
            began = time.process_time()
            network(image)
            seconds[name].append(time.process_time() - began)
    shares: dict[tuple[int, int], list[float]] = defaultdict(list)
    for name, row in rows.items():
        shares[row["params"], row["macs"]] += [
            a / b for a, b in zip(seconds[name][1:], seconds["teacher"][1:])
        ]
    for name, row in rows.items():
        bench.write(name, row | {"time": round(statistics.median(shares[row["params"], row["macs"]]), 3)})


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rows", nargs="+", default=list(ROWS), choices=ROWS)
    parser.add_argument("--steps", type=int, default=300)
    parser.add_argument("--runs", type=Path, default=Path("runs/distillation"))
    parser.add_argument("--results", type=Path, default=FOLDER / "results" / "distillation.json")
    parser.add_argument("--times", action="store_true", help="measure the rows' time too, at the end")
    parser.add_argument("--tables", action="store_true", help="only write docs/distillation.md")
    options = parser.parse_args()
    torch.set_num_threads(1)
    if not options.tables:
        train = DistillConfig(
            steps=options.steps, batch=8, patch=16, precision="bf16", warmup=20, ema=0.99,
            validate_every=10**6, save_every=100, log_every=50, gan=GanConfig(channels=24),
        )  # fmt: skip
        teacher = opened(DATA / WEIGHTS).eval()
        images = pack([DATA / "sets" / "T91", DATA / "sets/BSDS500/train", DATA / "sets/BSDS500/test"], 4)
        material = Material(*images.hold_out(HELD_OUT), "held out")
        bench = Bench(train, options.runs, options.results, teacher, material)
        for name in options.rows:
            if name not in bench.rows():
                measured(bench, name)
        if options.times:
            timed(bench)
    write_tables(options.results)


if __name__ == "__main__":
    main()
