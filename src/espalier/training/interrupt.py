"""Ctrl-C and the polite signal of schedulers end training between two steps; a second one ends it at once."""

import contextlib
import signal
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from types import FrameType

from espalier.training.distributed import Workers

ASKING = 10
"""Steps between two questions to the other workers."""


@dataclass
class Request:
    """Whether somebody asked to stop."""

    asked: bool = False

    def due(self, workers: Workers, step: int) -> bool:
        """Whether to stop after `step`; several workers must agree, which they ask each other only now and then."""
        if workers.count == 1:
            return self.asked
        return step % ASKING == 0 and workers.agree(self.asked)


@contextlib.contextmanager
def watched() -> Iterator[Request]:
    """Note SIGINT and SIGTERM instead of dying; only the main thread can."""
    request = Request()
    if threading.current_thread() is not threading.main_thread():
        yield request
        return

    def note(number: int, _frame: FrameType | None) -> None:
        if request.asked:
            raise KeyboardInterrupt(f"signal {number}, twice")
        request.asked = True

    before = {number: signal.signal(number, note) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield request
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
