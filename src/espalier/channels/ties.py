"""The quick way to a proof where sizes are baked into modules: one tie for all that such modules touch, then loosened.

A cut that fails inside a module of some type says that this type's code relates the sizes of what it touches. All units
that touch modules of the type are put under one tie, and the tie grows while failures move on to other types: a few
runs, however many blocks there are. Afterwards each role (a unit's name with the block numbers left out) is set free
again if the cut stays right without it. One cut may be right by chance, so another confirms them all; where it does
not, every role has to be right twice.
"""

import math
import re
from collections.abc import Callable, Sequence

from espalier.channels.proof import Verdict
from espalier.channels.units import Unit

Check = Callable[[Sequence[Unit]], Verdict | None]
"""What is wrong with cutting these units together; None if nothing."""


def common_tie(
    units: Sequence[Unit], wrong: Verdict, types: dict[str, str], check: Check, again: Check
) -> list[Unit] | None:
    """Units, some of them joined, that are right together; None if one tie does not do it.

    Args:
        wrong: why `units` fail as they are.
        types: type name of every module.
        check: may freeze attributes to make them right.
        again: takes things as `check` left them.
    """
    loose, tied = list(units), []
    verdict: Verdict | None = wrong
    while verdict is not None:
        fresh = _touching(loose, _modules(types, verdict.module), tied)
        if not fresh:
            return None
        tied += fresh
        taken = set(map(id, fresh))
        loose = [unit for unit in loose if id(unit) not in taken]
        verdict = check([*loose, tied[0].joined(tied[1:])])
    found = _loosened(loose, tied, again)
    if len(found) == len(loose) + 1 or again(found) is None:
        return found
    return _loosened(loose, tied, lambda units: again(units) or again(units))


def _modules(types: dict[str, str], failing: str) -> set[str]:
    if not failing:
        return {""}  # the network's own code relates whatever it likes
    kind = types.get(failing)
    return {name for name, other in types.items() if name and other == kind}


def _touching(loose: Sequence[Unit], modules: set[str], tied: Sequence[Unit]) -> list[Unit]:
    """The loose units that touch tensors of these modules, as far as they have sizes in common with the tie."""
    levels = math.gcd(*(unit.levels for unit in tied))  # of the tie so far; 0 goes with every number
    found: list[Unit] = []
    for unit in sorted(loose, key=lambda u: -u.levels):
        members = (member.tensor for group in unit.groups for member in group.members)
        if math.gcd(levels, unit.levels) > 1 and any(_inside(tensor, modules) for tensor in members):
            levels = math.gcd(levels, unit.levels)
            found.append(unit)
    return found


def _inside(tensor: str, modules: set[str]) -> bool:
    """Whether a tensor belongs to one of the modules, or to a part of one."""
    parts = tensor.split(".")
    return any(".".join(parts[:length]) in modules for length in range(len(parts)))


def role(unit: Unit) -> str:
    """The unit's name without block numbers."""
    return re.sub(r"\d+", "N", unit.groups[0].name)


def _loosened(loose: list[Unit], tied: list[Unit], check: Check) -> list[Unit]:
    """Set every role free that need not be tied, the coarsest first."""
    roles = sorted({role(unit): unit.levels for unit in tied}.items(), key=lambda item: item[1])
    for name, _ in roles:
        free = [unit for unit in tied if role(unit) == name]
        rest = [unit for unit in tied if role(unit) != name]
        if not rest:
            continue
        trial = [*loose, *free, rest[0].joined(rest[1:])]
        if check(trial) is None:
            loose, tied = [*loose, *free], rest
    return [*loose, tied[0].joined(tied[1:])]
