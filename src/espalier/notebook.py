"""Small tables for notebooks: no style sheet, no script, readable on light and on dark pages."""

from collections.abc import Sequence
from html import escape

_LINE = "1px solid rgba(128,128,128,.35)"
_NUMBER = "text-align:right;padding:.15em .8em;font-variant-numeric:tabular-nums"
_TEXT = "text-align:left;padding:.15em .8em"


class Markup(str):
    """HTML that is safe already; every other text is escaped."""


def bar(share: float) -> Markup:
    """A bar that is filled by `share` (0..1)."""
    percent = 100 * min(max(share, 0.0), 1.0)
    return Markup(
        '<span style="display:inline-block;width:7em;height:.6em;background:rgba(128,128,128,.3)">'
        f'<span style="display:block;height:100%;width:{percent:.1f}%;background:#2e9e63"></span></span>'
    )


def table(
    heading: str, columns: Sequence[str], rows: Sequence[Sequence[str | float | int]], *, note: str = ""
) -> str:
    """A heading, a table that scrolls where it is long, and a note; numbers stand to the right."""
    head = "".join(
        f'<th scope="col" style="{_style(k, rows)};border-bottom:{_LINE};font-weight:600">{_html(name)}</th>'
        for k, name in enumerate(columns)
    )
    body = "".join(f"<tr>{''.join(_cell(value) for value in row)}</tr>" for row in rows)
    below = f'<div style="opacity:.75;padding:.3em .8em">{_html(note)}</div>' if note else ""
    return (
        '<div style="max-width:60em;font-size:90%;line-height:1.35">'
        f'<div style="font-weight:600;padding:.3em .8em">{_html(heading)}</div>'
        '<div style="max-height:24em;overflow:auto">'
        '<table style="border-collapse:collapse;margin:0;font-size:inherit">'
        f"<thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"
        f"</div>{below}</div>"
    )


def _style(column: int, rows: Sequence[Sequence[str | float | int]]) -> str:
    return _TEXT if not rows or isinstance(rows[0][column], str) else _NUMBER


def _cell(value: str | float | int) -> str:
    return f'<td style="{_TEXT if isinstance(value, str) else _NUMBER}">{_html(value)}</td>'


def _html(value: str | float | int) -> str:
    if isinstance(value, Markup):
        return value
    if isinstance(value, str):
        return escape(value)
    return f"{value:,}" if isinstance(value, int) else f"{value:,.4g}"
