"""What a traced run has shown."""

from collections import Counter
from dataclasses import dataclass, field

from torch import Tensor
from torch.utils.weak import WeakTensorKeyDictionary

from espalier.channels.atoms import Atoms
from espalier.channels.labels import Label


@dataclass(frozen=True)
class SizeUse:
    """A module used the integer `value` as the size of an axis (or of a part of it) that may be cut."""

    module: str
    value: int
    label: Label
    dim: int
    start: int = 0
    stop: int | None = None
    attribute: str | None = None
    """Name of the attribute that holds the integer, where the rule knows it."""
    among: tuple[int, ...] = ()
    """All the sizes passed at once, where `value` was one of several."""
    place: int = 0
    """Which of `among` it was."""


@dataclass(frozen=True)
class Product:
    """A contraction, whose cost is proportional to what survives of each factor."""

    call: tuple[str, int]
    module: str
    macs: int
    factors: Label


@dataclass(frozen=True)
class Event:
    """An operator as it ran, for naming what channels are used for."""

    name: str
    labels: tuple[Label, ...]
    """Of its tensor arguments, in order."""
    shapes: tuple[tuple[int, ...], ...]
    out: tuple[int, ...]
    """Shape of its first result."""
    numbers: tuple[int | None, ...]
    """Its positional arguments that are integers, in their places."""


@dataclass(frozen=True)
class Unknown:
    """An operator without a rule: the channels that it touched are pinned."""

    operator: str
    module: str
    line: str
    problem: str = "no rule for"

    def __str__(self) -> str:
        return (
            f"{self.problem} the operator {self.operator} in module {self.module or '(root)'} at {self.line}; "
            "the channels it touches stay whole. To add one, see 'an operator rule' in CONTRIBUTING.md"
        )


@dataclass
class Alone:
    """Positions that code takes one by one; they may go if it goes through all of them in the same way."""

    atoms: Tensor
    """Of the whole axis."""
    taken: Tensor
    """Which of them have been taken, as a boolean array."""
    why: str


@dataclass
class Trace:
    """What a traced run has shown."""

    atoms: Atoms = field(default_factory=Atoms)
    owners: dict[str, tuple[Tensor | None, ...]] = field(default_factory=dict)
    """Tensor name -> for each axis its atoms, or None where it has size 1."""
    buffers: set[str] = field(default_factory=set)
    """Names of the tensors that are not parameters."""
    grids: list[Tensor] = field(default_factory=list)
    """Atoms that must stay rectangular: equally many survivors in each row that is left."""
    pieces: WeakTensorKeyDictionary = field(default_factory=WeakTensorKeyDictionary)
    """Tensor -> (dimension, start, size) of the slices that were taken of it."""
    alone: dict[bytes, Alone] = field(default_factory=dict)
    """Axes whose positions are taken one by one, by their atoms."""
    met: list[tuple[Tensor, str]] = field(default_factory=list)
    """Atoms of such positions that meet in one operator, and which."""
    sizes: list[SizeUse] = field(default_factory=list)
    widths: set[int] = field(default_factory=set)
    """Sizes of axes that have channels."""
    assigned: set[tuple[str, str]] = field(default_factory=set)
    """Module and attribute that a run sets itself: such an integer need not follow a cut, it comes anew."""
    products: list[Product] = field(default_factory=list)
    normalised: list[Tensor] = field(default_factory=list)
    """Atoms over which statistics run."""
    unknown: list[Unknown] = field(default_factory=list)
    events: list[Event] = field(default_factory=list)
    counted: list[tuple[str, tuple[Label, ...]]] = field(default_factory=list)
    """The operators whose results depend on which positions live, in order, with the labels of their tensors."""
    rescales: bool = False
    """Whether some factor is the root of a size that was read off a shape."""
    calls: Counter[str] = field(default_factory=Counter)
    """How often each operator has run."""
