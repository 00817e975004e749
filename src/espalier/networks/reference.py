"""Constructor references such as "edsr(scale=2, blocks=16)": parsed, never evaluated."""

import ast
import re
from dataclasses import dataclass, field
from typing import Any

from espalier.errors import NetworkError


@dataclass(frozen=True)
class Reference:
    """A dotted name and keyword arguments that are Python literals."""

    name: str
    arguments: dict[str, Any] = field(default_factory=dict)


def looks_like_call(text: str) -> bool:
    """Whether `text` is written as name(...)."""
    return re.fullmatch(r"\s*[A-Za-z_][\w.]*\s*\(.*\)\s*", text, re.DOTALL) is not None


def parse(text: str) -> Reference:
    """Read "name" or "name(key=literal, ...)".

    Raises:
        NetworkError: anything else than names and literals stands there.
    """
    try:
        node = ast.parse(text.strip(), mode="eval").body
    except (SyntaxError, ValueError) as error:
        raise NetworkError(
            f'cannot read {text!r}: {error}; write it as "edsr(scale=2, blocks=16)"'
        ) from error
    if not isinstance(node, ast.Call):
        return Reference(_dotted(node, text))
    if node.args:
        raise NetworkError(f'name the arguments in {text!r}, as in "edsr(scale=2)"')
    return Reference(_dotted(node.func, text), dict(_argument(keyword, text) for keyword in node.keywords))


def _dotted(node: ast.expr, text: str) -> str:
    if isinstance(node, ast.Name):
        return node.id
    if isinstance(node, ast.Attribute):
        return f"{_dotted(node.value, text)}.{node.attr}"
    raise NetworkError(f'cannot read {text!r}: expected a name, as in "edsr(scale=2)"')


def _argument(keyword: ast.keyword, text: str) -> tuple[str, Any]:
    if keyword.arg is None:
        raise NetworkError(f"'**' has no place in {text!r}; name each argument")
    try:
        return keyword.arg, ast.literal_eval(keyword.value)
    except ValueError as error:
        raise NetworkError(
            f"{keyword.arg}={ast.unparse(keyword.value)} in {text!r} is not a plain value; "
            "numbers, strings, True, False, None, lists, tuples and dicts are"
        ) from error
