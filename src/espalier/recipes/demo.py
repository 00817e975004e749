"""`espalier demo`: the whole way on a bundled network and bundled photographs, offline."""

from importlib.resources import files
from pathlib import Path
from typing import Annotated, Any

from cyclopts import Parameter

from espalier.recipes import compress
from espalier.recipes.console import say
from espalier.recipes.montage import write_montage
from espalier.report import folder

NETWORK = "edsr_x2.safetensors"


def command(
    *,
    out: Annotated[Path, Parameter(name=["--out", "-o"])] = Path("runs/demo"),
    recover: int = 200,
    resume: bool = False,
) -> None:
    """Compress a small bundled network on bundled photographs, offline, in minutes.

    Parameters
    ----------
    out
        Run folder to write; an earlier run of the demo is replaced.
    recover
        Steps of fine-tuning afterwards.
    resume
        Go on with a demo that was interrupted.
    """
    compress.finish_on_terminal(demo(out, recover, resume=resume))
    say(f"{write_montage(folder.read(out), out / 'comparison.png')}")


def demo(out: Path, recover: int, **changed: Any) -> Path:
    """Halve the MACs of the bundled EDSR x2, with other settings where they are given; return the run folder."""
    bundled = Path(str(files("espalier.demo")))
    settings = compress.CompressSettings(
        test=bundled / "photos" / "evaluation",
        budget="macs=0.5",
        recover=recover,
        batch=8,
        patch=32,
        overwrite=True,
        **changed,
    )
    return compress.compress(str(bundled / NETWORK), bundled / "photos" / "training", out, settings)
