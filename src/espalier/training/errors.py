"""Why training stopped."""

from espalier.errors import EspalierError


class TrainingError(EspalierError):
    """Training cannot start or go on."""


class Interrupted(TrainingError):
    """A person pressed Ctrl-C; the state is saved where there is a run folder."""
