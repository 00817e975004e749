"""Checking keyword arguments before a class is called, with a guess at what was meant."""

import difflib
import inspect
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from espalier.errors import NetworkError


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """The words ", did you mean 'edsr'?", or nothing."""
    folded = {name.lower(): name for name in known}
    close = difflib.get_close_matches(word.lower(), folded, n=1, cutoff=0.5)
    return f", did you mean {folded[close[0]]!r}?" if close else ""


def check_arguments(name: str, call: Callable[..., Any], arguments: Mapping[str, Any]) -> None:
    """Refuse a keyword that `call` does not take.

    Raises:
        NetworkError: an argument is unknown.
    """
    parameters = inspect.signature(call).parameters
    if any(p.kind is inspect.Parameter.VAR_KEYWORD for p in parameters.values()):
        return
    for argument in arguments:
        if argument not in parameters:
            raise NetworkError(
                f"{name} has no argument {argument!r}{did_you_mean(argument, parameters)}; "
                f"it takes {', '.join(parameters)}"
            )
