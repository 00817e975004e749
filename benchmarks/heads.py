"""Half of the attention heads removed, all else whole that may stay so: python benchmarks/heads.py

For the networks of the survey that have heads. Writes benchmarks/results/heads.json after each and docs/heads.md.
Names of rows may follow.
"""

import copy
import json
import platform
import sys
import tempfile
from pathlib import Path
from typing import Any

import torch
from one_row import SMALL, image, reductions, timed
from pages import markdown
from rows import ROWS, Row
from tables import DOCS, number, times_fewer

from espalier import allocation, channels, importance, surgery
from espalier.networks import file
from espalier.networks.load import load
from espalier.networks.network import Network
from espalier.networks.prepare import prepare

RESULTS = Path(__file__).parent / "results" / "heads.json"
HEADS = "attention heads"
PAGE = """\
# Whole heads

An attention layer can be made cheaper in two ways: all its heads get narrower, or whole heads go. Espalier
offers the first by default, and the second where you ask for it (`--heads`, or `heads=True` in Python): then a
head is one channel, with its queries, keys, values, position biases and temperatures, and with its slice of the
projection behind. Methods, criteria and budgets treat it as any other channel, and it is proven like any other.
Where the code cannot do with fewer heads, the widths inside are offered as before. Both are had by pruning
twice.

```sh
espalier inspect swinir.pth --heads
espalier compress swinir.pth --data photos/ --budget macs=0.6 --heads
```

Below, half of the heads of every layer go, and nothing else that need not: in code that takes the width of a
head to be `embedding // heads` the embedding has to shrink by the same share, and with it all that it runs
through. Networks of the survey, random weights, MACs at 64 × 64. Proof: largest relative difference from the
whole network with these heads silent, in float64. Reload: largest difference after saving and loading.
Written by `benchmarks/heads.py`; python {python}, torch {torch}.

{table}

Layers whose numbers of heads have no common divisor (2 and 3, say) under one embedding keep their heads where
the code takes the width from the embedding: no share suits both. `--keep-architecture` knows no heads: the
constructor's head count and its embedding would have to change together.
"""


def measure(row: Row) -> dict[str, Any] | None:
    torch.manual_seed(0)
    network = prepare(load(row.reference))
    example = network.encode(channels.sample_inputs(3, *SMALL))
    seconds, found = timed(lambda: channels.analyse(network.body, example, heads=True))
    heads = [g for g in found.groups if g.pattern == HEADS]
    if not heads:
        return None
    decided = [u for u in allocation.units(found.groups) if any(g.pattern == HEADS for g in u.groups)]
    scores = importance.scores("l2", network.body, found.prunable, seed=0)
    kept = allocation.choose(decided, [max(1, unit.levels // 2) for unit in decided], scores)
    verdict = found.check(kept)
    smaller = copy.deepcopy(network)
    smaller.plans = (found.plan(kept),)
    surgery.apply_(smaller.body, smaller.plans[0])
    layers = [(g.channels, len(kept[g.name])) for g in heads if g.name in kept]
    return {
        "analyse_s": seconds,
        "layers": len(layers),
        "heads": sorted(set(layers)),
        "whole": len(heads) - len(layers),
        "embedding": any(g.pattern != HEADS for unit in decided for g in unit.groups),
        "proven": verdict.equal,
        "difference": verdict.difference,
        "reload": reload_difference(smaller),
        **reductions(network, smaller),
    }


def reload_difference(network: Network) -> float:
    """Largest difference of the output after saving and loading."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "network.safetensors"
        file.save(network, path)
        outputs = []
        for each in (network, load(path)):
            torch.manual_seed(0)
            with torch.no_grad():
                outputs.append(each(image()))
        return float((outputs[0] - outputs[1]).abs().max())


def line(name: str, found: dict[str, Any]) -> list[str]:
    heads = ", ".join(f"{before} to {after}" for before, after in found["heads"])
    proof = number(found["difference"]) if found["proven"] else "**no**"
    with_it = "yes" if found["embedding"] else "no"
    counts = [times_fewer(found["macs"]), times_fewer(found["params"])]
    return [name, str(found["layers"]), heads, with_it, *counts, proof, number(found["reload"])]


def main() -> None:
    torch.set_num_threads(1)
    results: dict[str, Any] = {"rows": {}}
    if RESULTS.is_file():
        results = json.loads(RESULTS.read_text(encoding="utf-8"))
    for row in ROWS:
        if len(sys.argv) == 1 or row.name in sys.argv[1:]:
            found = measure(row)
            if found is not None:
                results["rows"][row.name] = found
                results |= {"python": platform.python_version(), "torch": torch.__version__}
                RESULTS.write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")
                print(line(row.name, found), flush=True)
    places = {row.name: k for k, row in enumerate(ROWS)}
    rows = sorted(results["rows"].items(), key=lambda item: places[item[0]])
    header = ["network", "layers", "heads", "embedding too", "MACs", "params", "proof", "reload"]
    table = markdown(header, (line(*row) for row in rows))
    told = {key: results[key] for key in ("python", "torch")}
    (DOCS / "heads.md").write_text(PAGE.format(table=table, **told), encoding="utf-8")


if __name__ == "__main__":
    main()
