"""One training loop, from one core to many machines; methods act on it through `methods/protocol.py`."""

from espalier.training.errors import Interrupted, TrainingError
from espalier.training.folder import best_weights
from espalier.training.log import History, Point
from espalier.training.loop import fit
from espalier.training.settings import TrainSettings
from espalier.training.validation import Validation, psnr_on

__all__ = [
    "History",
    "Interrupted",
    "Point",
    "TrainSettings",
    "TrainingError",
    "Validation",
    "best_weights",
    "fit",
    "psnr_on",
]
