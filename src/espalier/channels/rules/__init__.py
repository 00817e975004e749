"""One small function per family of ATen operators; every file here that has a `RULES` table takes part."""

import importlib
import pkgutil
from collections.abc import Callable
from typing import Any

import torch

from espalier.channels.call import Call

Rule = Callable[[Call], None]


def _gather() -> dict[str, Rule]:
    table: dict[str, Rule] = {}
    for info in pkgutil.iter_modules(__path__):
        table.update(importlib.import_module(f"{__name__}.{info.name}").RULES)
    return table


RULES: dict[str, Rule] = _gather()
"""ATen name without "aten::" (or the full name of a custom operator) -> its rule."""


def add_rule(operator: str, rule: Rule) -> None:
    """Teach the trace an operator, for example `add_rule("mylib::swish", rules.elementwise.elementwise)`."""
    RULES[operator.removeprefix("aten::")] = rule


def find_rule(name: str, func: Any) -> Rule | None:
    """The rule of an operator: its own, its out-of-place twin's, or the elementwise one where torch says pointwise."""
    rule = RULES.get(name)
    if rule is None and name.endswith("_"):
        rule = RULES.get(name[:-1])
    if rule is None and torch.Tag.pointwise in func.tags:
        rule = RULES["elementwise"]
    return rule
