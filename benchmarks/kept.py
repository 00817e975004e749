"""Lists of measured rows as results/ keeps them."""

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from espalier.files import write_text
from espalier.recipes.run import environment

RESULTS = Path(__file__).parent / "results"
Row = dict[str, Any]


def read(name: str) -> list[Row]:
    """All rows of a file in results/; none where there is no such file yet."""
    return _content(name) or []


def find(name: str, key: Mapping[str, Any]) -> Row | None:
    """The first row of a file that has all values of `key`."""
    return next((row for row in read(name) if all(row[k] == value for k, value in key.items())), None)


def keep(name: str, rows: Iterable[Row], by: Iterable[str]) -> None:
    """Write rows in place of those that are the same in all that is named by `by`."""
    new, by = list(rows), list(by)
    taken = [[row[key] for key in by] for row in new]
    others = [row for row in read(name) if [row[key] for key in by] not in taken]
    _write(name, [*others, *new])


def rows(name: str) -> list[Row]:
    """Rows of a file that names the environment of its rows; none where there is no such file yet."""
    content = _content(name)
    return content["rows"] if content else []


def add(name: str, row: Row) -> None:
    """One more row of a file that names the environment of its rows."""
    _write(name, {"environment": environment(), "rows": [*rows(name), row]})


def _content(name: str) -> Any:
    path = RESULTS / name
    return json.loads(path.read_text(encoding="utf-8")) if path.exists() else None


def _write(name: str, content: Any) -> None:
    write_text(RESULTS / name, json.dumps(content, indent=1) + "\n")
