"""Networks of kinds outside the survey (tests/foreign), half of every group removed: python benchmarks/foreign.py

Writes benchmarks/results/foreign.json and docs/foreign.md.
"""

import copy
import json
import platform
import sys
import tempfile
from pathlib import Path
from typing import Any

import torch
from pages import markdown
from tables import DOCS, number, times_fewer

sys.path.insert(0, str(Path(__file__).parent.parent))

from one_row import halved, timed

from espalier import channels, importance, surgery
from espalier.costs import count
from espalier.networks import file
from espalier.networks.load import load
from espalier.networks.network import Network
from tests.foreign import NETWORKS

RESULTS = Path(__file__).parent / "results" / "foreign.json"
TRACED, COUNTED = (16, 24), (32, 48)

PAGE = """\
# Networks outside the survey

{count} tiny networks in the ways research code is written: state kept on modules, slices written into zeros, normalised
and predicted weights, Fourier transforms, recurrent cells, scans, gathered windows, `einops`, sizes that are equal by
chance. **No hint is given.**
Half of the channels of every group is removed after tracing at {traced}; MACs, and the comparison after saving and
loading, are at {counted}. When such networks were first tried, about half were held back or refused somewhere; the
general causes were mended, so this page shows what works, not how a new network will fare.
Written by `benchmarks/foreign.py`; python {python}, torch {torch}.

{table}

## What stays whole

Named with its reason by `espalier inspect`, and never wrong:

- channels along which the network convolves (ECA's one-dimensional, HAN's three-dimensional convolutions);
- what goes through a channel shuffle and back to its own residual (ShuffleMixer): nearly all positions go together;
- queries and keys under rotary positions, and widths hashed by random numbers drawn in `forward`;
- linear layers over the positions of an image or a window, and coordinates;
- channels that a loop takes one by one to compute with them (writing them into zeros is followed);
- sizes written as literals in `forward`, where a cut would need another number.
"""


def measure(reference: str) -> dict[str, Any]:
    torch.manual_seed(0)
    network = load(reference)
    example = channels.sample_inputs(3, *TRACED)
    seconds, found = timed(lambda: channels.analyse(network.body, example))
    kept = halved(found, importance.scores("l2", network.body, found.prunable, seed=0))
    verdict = found.check(kept)
    smaller = copy.deepcopy(network)
    smaller.plans = (found.plan(kept),)
    surgery.apply_(smaller.body, smaller.plans[0])
    before, after = count(network, COUNTED), count(smaller, COUNTED)
    return {
        "analyse_s": seconds,
        "share": found.share,
        "unknown": [str(unknown) for unknown in found.unknown],
        "proven": verdict.equal,
        "difference": verdict.difference,
        "params": [before.params, after.params],
        "macs": [before.macs, after.macs],
        "reload": reload_difference(smaller),
    }


def reload_difference(network: Network) -> float:
    image = channels.sample_inputs(3, *COUNTED, seed=1)
    with tempfile.TemporaryDirectory() as folder, torch.no_grad():
        file.save(network, Path(folder) / "network.safetensors")
        again = load(Path(folder) / "network.safetensors")
        return float((again(image.clone()) - network(image.clone())).abs().max())


def page(results: dict[str, Any]) -> str:
    rows = [
        [
            name.replace("_", " "),
            f"{row['analyse_s']:.2f}",
            times_fewer(row["macs"]),
            times_fewer(row["params"]),
            number(row["difference"]) if row["proven"] else "**no**",
            f"{row['share']:.1%}",
            number(row["reload"]),
        ]
        for name, row in results.items()
    ]
    header = ["network", "analyse s", "MACs", "params", "proof", "in groups", "reload"]
    return PAGE.format(
        count=len(results),
        traced="{} × {}".format(*TRACED),
        counted="{} × {}".format(*COUNTED),
        python=platform.python_version(),
        torch=torch.__version__,
        table=markdown(header, rows),
    )


def main() -> None:
    torch.set_num_threads(1)
    results = {entry.reference.partition(":")[2]: measure(entry.reference) for entry in NETWORKS}
    RESULTS.write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")
    (DOCS / "foreign.md").write_text(page(results), encoding="utf-8")


if __name__ == "__main__":
    main()
