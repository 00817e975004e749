"""Which blocks of a student stand where which blocks of its teacher stand."""

from dataclasses import dataclass

from torch import nn

from espalier.errors import NetworkError
from espalier.networks.arguments import did_you_mean

CONTAINERS = (nn.Sequential, nn.ModuleList, nn.ModuleDict)


@dataclass(frozen=True)
class Trunk:
    """The blocks of one class that follow one another: most of the network."""

    path: str
    """Of the module that holds them."""
    kind: str
    """Name of their class."""
    blocks: tuple[str, ...]
    """Full names."""


@dataclass(frozen=True)
class Pair:
    """Two modules whose outputs are compared."""

    student: str
    teacher: str


def trunk(body: nn.Module) -> Trunk | None:
    """The longest row of children of one class; of equally long ones a row of blocks before one of layers."""
    found = [row for row in _rows(body) if len(row.blocks) > 1]
    return max(found, key=lambda row: (len(row.blocks), _composite(body, row)), default=None)


def trunks(student: nn.Module, teacher: nn.Module) -> tuple[Trunk, Trunk] | None:
    """Within one architecture the longest rows at the same place in both, rather such as differ in length."""
    places = {(row.path, row.kind): row for row in _rows(student)}
    both = [(places[row.path, row.kind], row) for row in _rows(teacher) if (row.path, row.kind) in places]

    def rank(rows: tuple[Trunk, Trunk]) -> tuple[int, bool, bool]:
        counts = [len(row.blocks) for row in rows]
        return max(counts), counts[0] != counts[1], _composite(teacher, rows[1])

    best = max(both, key=rank, default=None)
    if type(student) is type(teacher) and best is not None and rank(best)[0] > 1:
        return best
    own, taught = trunk(student), trunk(teacher)
    return None if own is None or taught is None else (own, taught)


def spread(count: int, whole: int) -> list[int]:
    """`count` numbers below `whole`, evenly spaced around the middle."""
    return [int((i + 0.5) * whole / count) for i in range(count)]


def sources(student: nn.Module, teacher: nn.Module) -> dict[str, str]:
    """Student block -> the teacher block that it begins as: evenly spaced ones."""
    found = trunks(student, teacher)
    if found is None:
        return {}
    own, taught = found
    chosen = spread(len(own.blocks), len(taught.blocks))
    return {block: taught.blocks[k] for block, k in zip(own.blocks, chosen)}


def pairs(student: nn.Module, teacher: nn.Module, most: int = 4) -> tuple[Pair, ...]:
    """Blocks after which both networks have done the same share of their work, at most `most`.

    Raises:
        NetworkError: one of them has no row of blocks of one class.
    """
    found = trunks(student, teacher)
    if found is None:
        raise NetworkError(
            "these two networks have no rows of equal blocks to compare features of; name pairs of layers: "
            "--features.layers STUDENT=TEACHER"
        )
    own, taught = found
    n, m = len(own.blocks), len(taught.blocks)
    ends = sorted({round((k + 1) * n / min(n, most)) - 1 for k in range(min(n, most))})
    return tuple(Pair(own.blocks[k], taught.blocks[max(round((k + 1) * m / n), 1) - 1]) for k in ends)


def read_pairs(text: str, student: nn.Module, teacher: nn.Module) -> tuple[Pair, ...]:
    """Pairs from "blocks.1=blocks.4, fuse"; a name alone stands for both.

    Raises:
        NetworkError: there is no such module.
    """
    found = []
    for part in filter(None, (part.strip() for part in text.split(","))):
        own, _, taught = (word.strip() for word in part.partition("="))
        pair = Pair(own, taught or own)
        for name, body, whose in ((pair.student, student, "student"), (pair.teacher, teacher, "teacher")):
            names = [name for name, _ in body.named_modules() if name]
            if name not in names:
                raise NetworkError(f"the {whose} has no layer {name!r}{did_you_mean(name, names)}")
        found.append(pair)
    return tuple(found)


def _rows(body: nn.Module) -> list[Trunk]:
    """Children with parameters, of every module, by the name of their class; mere containers are no blocks."""
    found: dict[tuple[str, str], list[str]] = {}
    for path, module in body.named_modules():
        for name, child in module.named_children():
            if type(child) not in CONTAINERS and next(child.parameters(), None) is not None:
                row = found.setdefault((path, type(child).__name__), [])
                row.append(f"{path}.{name}" if path else name)
    return [Trunk(path, kind, tuple(blocks)) for (path, kind), blocks in found.items()]


def _composite(body: nn.Module, row: Trunk) -> bool:
    return next(body.get_submodule(row.blocks[0]).children(), None) is not None
