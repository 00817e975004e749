"""Tables as the pages of docs/ hold them, and their places there."""

import re
from collections.abc import Iterable
from pathlib import Path

from espalier.files import write_text


def markdown(header: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    """A table whose columns but the first are aligned right."""
    head = list(header)
    marks = ["---", *["---:"] * (len(head) - 1)]
    return "\n".join(f"| {' | '.join(line)} |" for line in [head, marks, *rows])


def put(page: Path, made: str, by: str) -> None:
    """Replace the table behind the mark of a script."""
    mark = re.escape(f"<!-- benchmarks/{by}.py -->\n")
    text = page.read_text(encoding="utf-8")
    write_text(page, re.sub(f"(?<={mark})(\\|.*\n)*", lambda _: made + "\n", text))
