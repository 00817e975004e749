"""Published networks, dense and at half the MACs, exported and compared: python benchmarks/export.py [NAME ...]

Pruned by the size of the weights, without recovery: what is compared is the file with torch. Each network runs in
a process of its own; benchmarks/results/export.json is written after every one, then docs/export.md.
Needs the weights in ../shared/data (or $ESPALIER_DATA), and onnx, onnxscript and onnxruntime.
"""

import importlib.metadata
import json
import math
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from tables import DOCS, RESULTS, markdown

WEIGHTS = Path(os.environ.get("ESPALIER_DATA", Path(__file__).parents[2] / "shared" / "data")) / "weights"
NETWORKS = {
    "FSRCNN": "FSRCNN/fsrcnn_x2.pth",
    "QuickSRNetLarge": "QuickSRNetLarge/team11_EFQN.pt",
    "SRVGG": "SRVGG/realesr-animevideov3.pth",
    "RLFN": "RLFN/team00_rlfn.pth",
    "SPAN": "SPAN/team00_SPAN.pth",
    "IMDN": "IMDN/IMDN_x4.pth",
    "RFDN": "RFDN/RFDN_AIM.pth",
    "RFDN-pruned": "RFDN-pruned/team40_rfdn_pruned.pth",
    "FMEN": "FMEN/team03_fmen.pth",
    "BSRN": "BSRN/team18_bsrn.pth",
    "PAN": "PAN/PANx4_DF2K.pth",
    "CARN-M": "CARN-M/carn_m.pth",
    "SRGAN-G": "SRGAN-G/netG_epoch_4_100.pth",
    "RNet": "RNet-EDSRlike/rnet_x4.pth",
    "VDSR": "VDSR/vdsr_state_dict.pth",
    "SMFANet": "SMFANet/SMFANet_DIV2K_100w_x4SR.pth",
}
SCALES = {"CARN-M": 4, "VDSR": 4}
TARGETS = ("onnx", "pt2")
LIMIT = 240
"""Seconds that one network may take."""

TEXT = """\
# Exported networks

Published weights, dense and with half the MACs (magnitude pruning without recovery), exported and run in their own
runtime on two images. The difference is the largest over all pixels, as a share of the range; allowed are 1e-4. Any
size: height and width are left open in the file. Seconds are of one thread. Written by `benchmarks/export.py`;
{versions}.

{table}

{summary}

RLFN at half the MACs gives -81 to 86 before recovery instead of 0 to 1; on that, torch in float32 itself is 4e-3 from
torch in float64, so the comparison says no.
"""


def one(name: str) -> dict[str, Any]:
    """Export one network in all ways."""
    import torch

    from espalier.allocation import Budget, allocate
    from espalier.costs import count
    from espalier.importance import scores
    from espalier.methods.job import cut
    from espalier.recipes.inspect import trace
    from espalier.recipes.opening import opened

    torch.set_num_threads(1)
    dense = opened(WEIGHTS / NETWORKS[name], SCALES.get(name))
    row: dict[str, Any] = {"dense": files(dense)}
    try:
        found = trace(dense)
        cost = found.cost.at_size({layer.name: layer.macs for layer in count(dense).layers})
        ranked = scores("l2", dense.body, found.prunable, seed=0)
        kept = allocate(found, ranked, Budget.parse("macs=0.5"), by="global", cost=cost)
        pruned = cut(dense, found.plan(kept))
        row["pruned"] = {"macs": count(pruned).macs / count(dense).macs, **files(pruned)}
    except Exception as error:  # a row that says so
        row["pruned"] = {"error": str(error)[:200]}
    return row


def files(network: Any) -> dict[str, Any]:
    from espalier.export import Request, target, verify
    from espalier.recipes.export import photograph

    told: dict[str, Any] = {}
    for name in TARGETS:
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / f"network{target(name).SUFFIX}"
            start = time.perf_counter()
            try:
                exported = target(name).write(network, path, Request())
                seconds = time.perf_counter() - start
                found = verify(target(name), network, path, exported, Request(), photograph())
                psnr = min(m.psnr for m in found.matches)
                told[name] = {
                    "size": exported.size,
                    "note": exported.note,
                    "difference": found.difference,
                    "psnr": psnr if math.isfinite(psnr) else None,
                    "passed": found.passed,
                    "seconds": seconds,
                    "bytes": path.stat().st_size,
                }
            except Exception as error:  # a row that says so
                told[name] = {"error": str(error)[:200]}
    return told


def measured(name: str) -> dict[str, Any]:
    """What one process measured, or why there is nothing."""
    command = [sys.executable, __file__, "--one", name]
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, env=environment, timeout=LIMIT, check=False
        )
        return json.loads(done.stdout.splitlines()[-1])
    except subprocess.TimeoutExpired:
        return {"error": f"no end within {LIMIT} s"}
    except (IndexError, ValueError):
        return {"error": (done.stderr.strip().splitlines() or ["it said nothing"])[-1][:200]}


def page(results: dict[str, Any]) -> str:
    header = ["network", "", *(word for name in TARGETS for word in (name, "size", "MB", "s"))]
    rows, exports = [], []
    for name, row in results["rows"].items():
        for version in ("dense", "pruned"):
            told = row.get(version, {"error": row.get("error", "")})
            macs = f"{100 * told['macs']:.0f} % MACs" if "macs" in told else version
            cells = [told.get(target, {"error": told.get("error", "")}) for target in TARGETS]
            exports += cells
            rows.append([name, macs, *(word for cell in cells for word in words(cell))])
    passed = sum(cell.get("passed", False) for cell in exports)
    opened = sum(cell.get("passed", False) and cell["size"] is None for cell in exports)
    summary = f"{passed} of {len(exports)} files agree with torch; {opened} of them take any size."
    versions = ", ".join(f"{package} {version}" for package, version in results["versions"].items())
    return TEXT.format(versions=versions, table=markdown(header, rows), summary=summary)


def words(cell: dict[str, Any]) -> list[str]:
    if "error" in cell:
        return [cell["error"].replace("|", "/")[:80], "", "", ""]
    size = "any" if cell["size"] is None else "{1} × {0}".format(*cell["size"])
    mark = "" if cell["passed"] else " **no**"
    return [f"{cell['difference']:.0e}{mark}", size, f"{cell['bytes'] / 1e6:.2f}", f"{cell['seconds']:.1f}"]


def main() -> None:
    if sys.argv[1:2] == ["--one"]:
        print(json.dumps(one(sys.argv[2])))
        return
    path = RESULTS / "export.json"
    results = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {"rows": {}}
    packages = ("torch", "onnx", "onnxscript", "onnxruntime")
    results["versions"] = {package: importlib.metadata.version(package) for package in packages}
    for name in sys.argv[1:] or NETWORKS:
        results["rows"][name] = measured(name)
        path.parent.mkdir(exist_ok=True)
        path.write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")
        print(name, json.dumps(results["rows"][name])[:300], flush=True)
        (DOCS / "export.md").write_text(page(results), encoding="utf-8")


if __name__ == "__main__":
    main()
