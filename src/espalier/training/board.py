"""Tensorboard, for those who have it: pip install 'espalier[tensorboard]'."""

from pathlib import Path

from espalier.errors import MissingExtraError
from espalier.training.log import Listener, Point


def board(folder: Path) -> Listener:
    """Write every point as scalars into `folder`.

    Raises:
        MissingExtraError: tensorboard is not installed.
    """
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError:
        raise MissingExtraError("tensorboard", "tensorboard", "writing for tensorboard") from None
    writer = SummaryWriter(str(folder))

    def write(point: Point) -> None:
        for name, value in scalars(point).items():
            writer.add_scalar(name, value, point.step)
        writer.flush()

    return write


def scalars(point: Point) -> dict[str, float]:
    """The numbers of a point by the name they have on the board."""
    groups = {"loss": point.losses, "score": point.scores, "method": point.facts}
    named = {f"{group}/{name}": value for group, values in groups.items() for name, value in values.items()}
    return {**named, "train/lr": point.lr, "train/steps per second": point.rate}
