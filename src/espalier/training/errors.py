"""Why training stopped."""

from pathlib import Path

from espalier.errors import EspalierError


class TrainingError(EspalierError):
    """Training cannot start or go on."""


class Interrupted(TrainingError):
    """A person pressed Ctrl-C; the state is saved where there is a run folder."""

    exit_code = 130

    def __init__(self, step: int, folder: Path | None) -> None:
        saved = f"saved in {folder}: go on with the same command and --resume"
        nothing = "nothing is saved, as no run folder was given"
        super().__init__(f"stopped after step {step}; {saved if folder else nothing}")
