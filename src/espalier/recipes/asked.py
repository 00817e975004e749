"""What `distill` and `compress-gan` are told besides how the student is taught."""

from pathlib import Path
from typing import Annotated, Any

from cyclopts import Parameter
from pydantic import BaseModel, ConfigDict


class Asked(BaseModel):
    """Where images come from, and where and on what the run takes place."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)

    data: list[str]
    """Folders of high-resolution images, or of HR/LR pairs."""
    out: Annotated[Path | None, Parameter(name=["--out", "-o"])] = None
    """The run folder; by default a new one in runs/."""
    test: Path | None = None
    """Folder to measure on; by default a few images of --data are held out."""
    hold_out: int = 8
    """Images of --data held out for measuring where there is no --test."""
    resume: bool = False
    """Go on with the run in --out."""
    device: str | None = None
    """"cpu", "cuda", "cuda:1"; by default a GPU where there is one."""
    timing: bool = True
    """Also measure time and memory."""

    def kept(self) -> dict[str, Any]:
        """What `config.yaml` keeps: all that the result depends on."""
        return self.model_dump(mode="json", exclude={"out", "resume"}, exclude_none=True)
