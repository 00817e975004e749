"""What `espalier compress CHECKPOINT --data PHOTOS` gives on published networks, every setting as it is by default.

python benchmarks/defaults.py --networks SPAN RLFN   # adds rows to benchmarks/results/defaults.json, then the table
python benchmarks/defaults.py --networks             # the table alone, in README.md
"""

import argparse
import tempfile
import time
from pathlib import Path
from typing import Any

import torch
from calibrated import NETWORKS
from kept import keep, read
from pages import markdown, put

from espalier.recipes.compress import CompressSettings, compress
from espalier.report import folder
from espalier.report.rows import rows as report_rows

HERE = Path(__file__).parent
RESULTS = "defaults.json"


def cell(name: str, data: Path, out: Path) -> dict[str, Any]:
    """Half the MACs of one network, on one core: sizes, PSNR on Set5, seconds."""
    path, scale = NETWORKS[name]
    sets = data / "sets"
    settings = CompressSettings(test=sets / "Set5", scale=scale, timing=False)
    began = time.process_time()
    compress(str(data / "weights" / path), sets / "BSDS500" / "train", out, settings)
    seconds = round(time.process_time() - began)
    found = {row.version: row for row in report_rows(folder.read(out))}
    return {
        "network": name, "scale": scale, "cpu_seconds": seconds, "torch": torch.__version__,
        "params": [found["dense"].params, found["recovered"].params],
        "macs": [found["dense"].macs, found["recovered"].macs],
        "psnr": {version: found[version].psnr for version in ("bicubic", "dense", "pruned", "recovered")},
    }  # fmt: skip


def line(row: dict[str, Any]) -> list[str]:
    macs, params = (
        [f"{value / unit:.3g}" for value in row[key]] for key, unit in (("macs", 1e9), ("params", 1e3))
    )
    psnr = [f"{row['psnr'][version]:.2f}" for version in ("dense", "pruned", "recovered")]
    return [f"{row['network'].split('_')[0]} ×{row['scale']}", " → ".join(params), " → ".join(macs), *psnr,
            f"{row['cpu_seconds'] / 60:.0f} min"]  # fmt: skip


def front(rows: list[dict[str, Any]]) -> str:
    """The table of the README."""
    head = ["", "Params [K]", "MACs [G]", "dense", "pruned", "recovered", "one core"]
    return markdown(head, map(line, rows))


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, default=HERE.parents[1] / "shared" / "data")
    parser.add_argument("--networks", nargs="*", default=list(NETWORKS), choices=NETWORKS)
    given = parser.parse_args()
    torch.set_num_threads(1)
    for name in given.networks:
        with tempfile.TemporaryDirectory() as place:
            row = cell(name, given.data, Path(place) / "run")
        keep(RESULTS, [row], by=["network"])
    put(HERE.parent / "README.md", front(read(RESULTS)), "defaults")


if __name__ == "__main__":
    main()
