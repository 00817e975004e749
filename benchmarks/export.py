"""Published networks, dense and at half the MACs, exported and compared: python benchmarks/export.py [NAME ...]

What is compared is the file with torch. Each runs in a process of its own; benchmarks/results/export.json is written
after every one, then docs/export.md. Without a name, all; what is there already is kept.
Needs the weights in ../shared/data (or $ESPALIER_DATA), and the extras onnx, openvino and ncnn.
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

from pages import markdown
from tables import DOCS, RESULTS

from espalier.files import write_text

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
SCALES = {"CARN-M": 4, "VDSR": 2}
SHARES = {"SPAN": "global", "RFDN-pruned": "calibrated"}
"""Of which groups the channels go, where equal shares give a network whose values run away."""
TARGETS = ("onnx", "pt2", "openvino", "ncnn")
VERSIONS = ("dense", "pruned")
PATCHES, PATCH = 32, 32
"""Patches to refit on, and their height and width in the small images."""
LIMIT = 900
"""Seconds that one network may take."""

TEXT = """\
# Exported networks

`espalier export NETWORK --to TARGET` writes a file for other programs, in a process of its own, and then runs it in its
own runtime on two sizes of a photograph. Where it differs from torch by more than 1e-4 of the range, it says so, leaves
the file and exits 1.

| `--to` | files | for | extra |
| --- | --- | --- | --- |
| `onnx` | `.onnx` | onnxruntime, chaiNNer, TensorRT, DirectML | `espalier[onnx]` |
| `openvino` | `.xml` and `.bin` | Intel's processors and graphics | `espalier[openvino]` |
| `ncnn` | `.ncnn.param` and `.ncnn.bin` | Upscayl, Real-ESRGAN-ncnn, phones | `espalier[ncnn]` |
| `pt2` | `.pt2` | torch without this package | |
| `pth` | `.pth` | programs that know the architecture | |

Every file takes RGB in 0..1, (batch, 3, height, width), and gives the same, larger; the colour space, the range and
the bicubic part that a network wants are inside. Height and width are left open where the network allows it;
`--fixed 256x256` asks for one size. `--half` stores the weights in 16 bits; input and output too in onnx and pt2.
Scale, range, size and what was pruned are in the file under "espalier": the properties of an ONNX model, the runtime
information of OpenVINO, an extra file of pt2, and JSON after the weights in ncnn's `.bin`.

`espalier upscale FILE.onnx PHOTOS -o DIR` (or `.xml`, `.param`) enlarges images with such a file, in tiles.

**ncnn** files take one image at a time, and nothing in them pads: images must not be smaller than the network's least
size (at most 16 pixels for those below). Input and output are called `data` and `output`, as Upscayl and
Real-ESRGAN-ncnn expect; name the file `x4.param` or the like (`-o models/my-x4.param`) and put both files in the
folder of models.

**TensorRT** reads the ONNX file. This has not been measured:

```
trtexec --onnx=network.onnx --saveEngine=network.engine --fp16 \\
  --minShapes=input:1x3x64x64 --optShapes=input:1x3x270x480 --maxShapes=input:1x3x540x960
```

A network of fixed size needs no shapes.

## Measured

Published weights, dense and with half the MACs: of every group the channels with the smallest weights removed, the
other layers refitted by least squares on 32 patches of the bundled photographs, no training. The difference is
the largest over all pixels of two sizes, as a share of the range; allowed are 1e-4. Sizes are left open unless one is
named. Written by `benchmarks/export.py`;
{versions}.

{table}

{summary}

SPAN's channels are ranked over all groups instead: with equal shares its values run from -46 to 54 instead of 0 to 1,
and torch's own 32 bits are 2e-2 from its 64, so that no file could agree. RFDN-pruned is cut by the calibrated method:
ranked by size, in either way, its values run away after the refit. SMFANet pools to a size that is computed
from the image's, which no exporter leaves open.
"""


def one(name: str, version: str) -> dict[str, Any]:
    """Export one network in all ways."""
    import torch

    from espalier.costs import count
    from espalier.recipes.opening import opened

    torch.set_num_threads(1)
    dense = opened(WEIGHTS / NETWORKS[name], SCALES.get(name))
    if version == "dense":
        return files(dense)
    share = SHARES.get(name, "uniform")
    pruned = calibrated(dense) if share == "calibrated" else halved(dense, share)
    return {"macs": count(pruned).macs / count(dense).macs, **files(pruned)}


def halved(dense: Any, by: str) -> Any:
    """Half the MACs: the smallest channels go, the layers that stay are refitted on photographs."""
    from importlib.resources import files

    from espalier import calibration
    from espalier.allocation import Budget, allocate
    from espalier.costs import count
    from espalier.data import Patches, pack
    from espalier.importance import scores
    from espalier.methods.calibrated import refit_to
    from espalier.recipes.inspect import trace

    found = trace(dense)
    cost = found.cost.at_size({layer.name: layer.macs for layer in count(dense).layers})
    ranked = scores("l2", dense.body, found.prunable, seed=0)
    kept = allocate(found, ranked, Budget.parse("macs=0.5"), by=by, cost=cost)
    photographs = Path(str(files("espalier.demo"))) / "photos" / "training"
    drawn, _ = Patches(pack(photographs, dense.scale), PATCH, seed=0).batch(0, 0, PATCHES)
    inputs = dense.encode(drawn)
    return refit_to(dense, found.plan(kept), inputs, calibration.record(dense.body, inputs))


def calibrated(dense: Any) -> Any:
    """Half the MACs by the default method, from the bundled photographs."""
    from importlib.resources import files

    from espalier.data import pack
    from espalier.recipes.prune import Request, prune

    photographs = Path(str(files("espalier.demo"))) / "photos" / "training"
    return prune(
        dense, Request("macs=0.5", "calibrated", "l2", None, 1, (), 0), pack(photographs, dense.scale)
    ).network


def files(network: Any) -> dict[str, Any]:
    return {name: exported(network, name) for name in TARGETS}


def exported(network: Any, name: str) -> dict[str, Any]:
    from espalier.export import Request, target, verify
    from espalier.recipes.export import photograph

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"network{target(name).SUFFIX}"
        start = time.perf_counter()
        try:
            written = target(name).write(network, path, Request())
            seconds = time.perf_counter() - start
            found = verify(target(name), network, path, written, Request(), photograph())
        except Exception as error:  # a row that says so
            return {"error": str(error)[:200]}
        psnr = min(m.psnr for m in found.matches)
        return {
            "size": written.size,
            "note": written.note,
            "difference": found.difference,
            "psnr": psnr if math.isfinite(psnr) else None,
            "passed": found.passed,
            "seconds": seconds,
            "bytes": sum(file.stat().st_size for file in Path(folder).iterdir()),
        }


def measured(name: str, version: str) -> dict[str, Any]:
    """What one process measured, or why there is nothing."""
    command = [sys.executable, __file__, "--one", name, version]
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, env=environment, timeout=LIMIT, check=False
        )
    except subprocess.TimeoutExpired:
        return {"error": f"no end within {LIMIT} s"}
    try:
        return json.loads(done.stdout.splitlines()[-1])
    except (IndexError, ValueError):
        return {"error": (done.stderr.strip().splitlines() or ["it said nothing"])[-1][:200]}


def page(results: dict[str, Any]) -> str:
    header = ["network", "MACs", *TARGETS, "MB (onnx)"]
    rows, cells = [], []
    for name in (name for name in NETWORKS if name in results["rows"]):
        row = results["rows"][name]
        for version in (version for version in VERSIONS if version in row):
            told = row[version]
            found = [told.get(target, {"error": told.get("error", "")}) for target in TARGETS]
            cells += found
            macs = f"{100 * told['macs']:.0f} %" if "macs" in told else "all"
            size = f"{found[0]['bytes'] / 1e6:.2f}" if "bytes" in found[0] else ""
            rows.append([name, macs, *map(words, found), size])
    passed = sum(cell.get("passed", False) for cell in cells)
    opened = sum(cell.get("passed", False) and cell["size"] is None for cell in cells)
    summary = f"{passed} of {len(cells)} files agree with torch; {opened} of them take any size."
    versions = ", ".join(f"{package} {version}" for package, version in results["versions"].items())
    return TEXT.format(versions=versions, table=markdown(header, rows), summary=summary)


def words(cell: dict[str, Any]) -> str:
    if "error" in cell:
        return cell["error"].replace("|", "/")[:80]
    size = "" if cell["size"] is None else ", {1} × {0}".format(*cell["size"])
    mark = "" if cell["passed"] else " **no**"
    return f"{cell['difference']:.0e}{mark}{size}"


def main() -> None:
    if sys.argv[1:2] == ["--one"]:
        print(json.dumps(one(*sys.argv[2:])))
        return
    path = RESULTS / "export.json"
    results = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {"rows": {}}
    packages = ("torch", "onnx", "onnxscript", "onnxruntime", "openvino", "ncnn", "pnnx")
    results["versions"] = {package: importlib.metadata.version(package) for package in packages}
    wanted = [(name, version) for name in sys.argv[1:] or NETWORKS for version in VERSIONS]
    for name, version in wanted:
        if version in results["rows"].get(name, {}):
            continue
        found = measured(name, version)
        results = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else results
        results["rows"].setdefault(name, {})[version] = found
        write_text(path, json.dumps(results, indent=1) + "\n")
        print(name, version, json.dumps(found)[:300], flush=True)
        write_text(DOCS / "export.md", page(results))


if __name__ == "__main__":
    main()
