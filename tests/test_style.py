"""Limits that keep the code readable: short functions, short files, no dump of odds and ends."""

import ast
from collections.abc import Iterator
from pathlib import Path

SOURCE = Path(__file__).parents[1] / "src" / "espalier"
FILES = sorted(SOURCE.rglob("*.py"))
FUNCTION_LINES, FILE_LINES = 40, 300


def functions(tree: ast.AST) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    return (node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef))


def lines(function: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    """Lines of a function without its docstring."""
    first = function.body[0]
    told = isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant)
    docstring = (first.end_lineno or 0) - first.lineno + 1 if told else 0
    return (function.end_lineno or 0) - function.lineno + 1 - docstring


def test_functions_are_short() -> None:
    long = [
        f"{path.relative_to(SOURCE)}:{function.lineno} {function.name}: {lines(function)} lines"
        for path in FILES
        for function in functions(ast.parse(path.read_text(encoding="utf-8")))
        if lines(function) > FUNCTION_LINES
    ]
    assert not long


def test_files_are_short() -> None:
    counts = {path: len(path.read_text(encoding="utf-8").splitlines()) for path in FILES}
    assert {str(path): count for path, count in counts.items() if count > FILE_LINES} == {}


def test_no_file_is_called_after_nothing() -> None:
    assert not {path.stem for path in FILES} & {"utils", "helpers", "common", "misc"}


def test_every_module_says_what_it_is() -> None:
    silent = [path for path in FILES if not ast.get_docstring(ast.parse(path.read_text(encoding="utf-8")))]
    assert not silent
