"""The log: one line per point, read back even where it was cut short."""

import math
from pathlib import Path

from espalier.training.log import History, Log, Point, read_log

POINTS = [
    Point(step, 1e-3, {"total": 0.1}, {"psnr": psnr}) for step, psnr in ((1, 30.0), (2, 32.0), (3, 31.0))
]


def test_what_is_written_is_read(tmp_path: Path) -> None:
    heard: list[Point] = []
    log = Log(tmp_path / "run" / "log.jsonl", [heard.append])
    for point in POINTS:
        log.add(point)
    assert read_log(tmp_path / "run" / "log.jsonl") == log.points == heard == POINTS


def test_rewinding_drops_what_comes_again_and_half_lines(tmp_path: Path) -> None:
    path = tmp_path / "log.jsonl"
    log = Log(path)
    for point in POINTS:
        log.add(point)
    with path.open("a") as file:
        file.write('{"step": 4, "lr":')
    again = Log(path)
    again.rewind(2)
    assert again.points == POINTS[:2] == read_log(path)


def test_history() -> None:
    history = History(tuple(POINTS), 3, 1.0)
    assert history.best == POINTS[1]
    assert history.last_psnr == 31.0
    assert History((), 0, 0.0).best is None
    assert math.isnan(History((), 0, 0.0).last_psnr)
