"""Sparsity: which single weights become zero, and what is left of a network then."""

from espalier.sparsity.pattern import Pattern
from espalier.sparsity.size import Size, size
from espalier.sparsity.spread import SPREADS, choose
from espalier.sparsity.weights import apply_, keep_, sparsity, weights

__all__ = [
    "SPREADS",
    "Pattern",
    "Size",
    "apply_",
    "choose",
    "keep_",
    "size",
    "sparsity",
    "weights",
]
