"""`espalier export`: a file that other programs run, compared with torch."""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from espalier.errors import EspalierError, NetworkError
from espalier.export import Exported, Request, Verification, job, target, verify
from espalier.export.photograph import photograph
from espalier.export.target import need
from espalier.networks.network import Network
from espalier.recipes.console import output, waiting
from espalier.recipes.opening import opened


def command(
    network: str,
    *,
    to: str = "onnx",
    out: Annotated[Path | None, Parameter(name=["--out", "-o"])] = None,
    scale: int | None = None,
    fixed: str | None = None,
    half: bool = False,
    verify: bool = True,
    overwrite: bool = False,
) -> None:
    """Write a network as a file that other programs run: RGB in 0..1 in, RGB in 0..1 out.

    Parameters
    ----------
    network
        A checkpoint file, a constructor such as "edsr(scale=2, blocks=16)", or "package.module:factory".
    to
        onnx (onnxruntime, TensorRT, chaiNNer), openvino (Intel's processors), ncnn (Upscayl, phones),
        pt2 (torch without this package), pth (a plain checkpoint), native (this package's own file, small where
        weights are zero).
    out
        File to write; by default named after the network, here.
    scale
        For networks of several scales: the one wanted.
    fixed
        One input size, as HEIGHTxWIDTH; by default any size, where the network allows it.
    half
        16-bit weights, input and output.
    verify
        Run the file in its own runtime and compare with torch; a difference leaves the file and exits 1.
    overwrite
        Write over a file that is there already.
    """
    request = Request(None if fixed is None else size(fixed), half)
    need(to, target(to).PACKAGES)
    loaded = opened(network, scale)
    path = out or Path(default_name(network, loaded) + target(to).SUFFIX)
    found = export(loaded, to, path, request, check=verify, overwrite=overwrite)
    if found is not None and not found.passed:
        raise SystemExit(1)


def export(
    network: Network,
    to: str,
    path: Path,
    request: Request = Request(),  # noqa: B008  # frozen
    *,
    check: bool = True,
    overwrite: bool = False,
) -> Verification | None:
    """Write `network` to `path`, say what it takes, compare with torch where `check`.

    Raises:
        MissingExtraError: what the target needs is not installed.
        NetworkError: the network cannot be exported, or the file does not run.
    """
    need(to, target(to).PACKAGES)
    files = [path, *(path.with_suffix(ending) for ending in target(to).BESIDE)]
    there = [str(file) for file in files if file.exists()]
    if there and not overwrite:
        raise NetworkError(
            f"{there[0]} is there already; choose another place with --out, or give --overwrite"
        )
    with waiting(f"exporting to {to}"):
        exported = job.export(network, to, path, request)
    output().print(summary(files, network, exported), markup=False, soft_wrap=True)
    if not check:
        return None
    with waiting(f"running {path.name}"):
        found = verify(target(to), network, path, exported, request, photograph())
    output().print(verdict(found, path), markup=False, soft_wrap=True)
    return found


def summary(files: Sequence[Path], network: Network, exported: Exported) -> str:
    """One line: what was written and what it takes."""
    takes = "any size" if exported.size is None else "only {1} x {0} pixels".format(*exported.size)
    note = f"; {exported.note}" if exported.note else ""
    written = sum(file.stat().st_size for file in files) / 1e6
    names = " and ".join([str(files[0]), *(file.name for file in files[1:])])
    return f"{names}: {written:.2f} MB, x{network.scale}, takes {takes}{note}"


def verdict(found: Verification, path: Path) -> str:
    """One line: how far the file is from torch."""
    each = ", ".join(
        f"{m.size[1]} x {m.size[0]}: {m.difference:.1e} ({m.psnr:.0f} dB)" for m in found.matches
    )
    if found.passed:
        return f"equals torch: largest difference {each}; allowed {found.tolerance:g} of the range"
    told = f"{path} differs from torch: {each}; allowed {found.tolerance:g} of the range; the file stays"
    if found.rounding is None or found.rounding < found.tolerance / 10:
        return told
    return f"{told}; the network magnifies rounding: torch itself is {found.rounding:.1e} from 64 bits here"


def size(text: str) -> tuple[int, int]:
    """ "64x96" as height and width.

    Raises:
        EspalierError: it is anything else.
    """
    found = re.fullmatch(r"([1-9]\d*)[x×]([1-9]\d*)", text.strip().lower())
    if found is None:
        raise EspalierError(f"--fixed is {text!r}: expected HEIGHTxWIDTH, such as 128x128")
    return int(found[1]), int(found[2])


def default_name(reference: str, network: Network) -> str:
    """The file's own name, else the network's with its scale."""
    path = Path(reference)
    return path.stem if path.is_file() else f"{network.name}_x{network.scale}"
